import type { MigrationSet } from '@postern/postgres';

/** One row a session of a browser. Of the cookie's value only SHA-256 is kept, of the login's tokens nothing. */
export const webMigrations: MigrationSet = {
  set: 'web',
  steps: {
    '0001-web-sessions': `
      create table web_sessions (
        digest bytea primary key check (octet_length(digest) = 32),
        tenant text not null,
        issuer text not null,
        sub text not null,
        client text not null,
        roles text[] not null,
        provider_session text,
        token_id text not null,
        key_id text not null,
        acr text,
        issued_at bigint not null,
        created_at timestamptz not null,
        seen_at timestamptz not null,
        expires_at timestamptz not null
      );
      create index web_sessions_person on web_sessions (issuer, sub);
      create index web_sessions_expires_at on web_sessions (expires_at);
    `,
    '0002-names': 'alter table web_sessions add column name text',
  },
};
