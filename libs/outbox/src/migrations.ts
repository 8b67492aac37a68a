import type { MigrationSet } from '@postern/postgres';

/**
 * The tables of the outbox, in each service's own database. `audit_outbox` holds events until the log provably has them;
 * `audit_producer` is the one row under whose lock numbers are given (R22); `audit_witness` is what this service saw of the
 * log (R27).
 */
export const outboxMigrations: MigrationSet = {
  set: 'outbox',
  steps: {
    '0001-outbox': `
      create table audit_outbox (
        id uuid primary key,
        action text not null,
        salt bytea not null check (octet_length(salt) = 32),
        canonical bytea not null,
        created_at timestamptz not null default now(),
        epoch integer,
        seq bigint,
        previous bytea,
        hash bytea,
        check ((seq is null) = (epoch is null) and (seq is null) = (previous is null) and (seq is null) = (hash is null))
      );
      create index audit_outbox_unnumbered on audit_outbox (id) where seq is null;
      create unique index audit_outbox_sequence on audit_outbox (epoch, seq) where seq is not null;

      create table audit_producer (
        producer text primary key,
        epoch integer not null,
        seq bigint not null,
        hash bytea not null check (octet_length(hash) = 32),
        cluster text not null
      );

      create table audit_witness (
        producer text primary key references audit_producer,
        log_key text not null,
        checkpoint text not null,
        tree_size bigint not null,
        epoch integer not null,
        seq bigint not null,
        seen_at timestamptz not null default now()
      );
    `,
  },
};
