import type { MigrationSet } from '@postern/postgres';

/**
 * What was taken from identity providers. `source_events` is why an event that is pushed and polled is appended once: ids,
 * times and sessions only, forgotten when neither way can bring them again.
 */
export const sourceMigrations: MigrationSet = {
  set: 'sources',
  steps: {
    '0001-sources': `
      create table source_events (
        source text not null,
        event_id uuid not null,
        at timestamptz not null,
        type text not null,
        session text,
        primary key (source, event_id)
      );
      create index source_events_at on source_events (source, at);
      create index source_events_session on source_events (source, session) where type = 'LOGIN' and session is not null;

      create table source_cursors (
        source text primary key,
        at timestamptz not null,
        polled_at timestamptz not null
      );
    `,
  },
};
