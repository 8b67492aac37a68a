import type { MigrationSet } from '@postern/postgres';

/**
 * The tables of the outbox, in each service's own database. `audit_outbox` holds events until they are numbered,
 * `audit_batches` from then until the log provably has them; `audit_producer` is the one row under whose lock numbers are
 * given (R22); `audit_witness` is what this service saw of the log (R27).
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
    // An event is written twice in its life here, not four times: numbering deletes its row and adds it to a batch, which is
    // one row, never updated. Its text is not compressed: it is base64 of what was made to be random or is short.
    '0002-batches': `
      create table audit_batches (
        epoch integer not null,
        first bigint not null,
        last bigint not null check (last >= first),
        previous bytea not null check (octet_length(previous) = 32),
        hash bytea not null check (octet_length(hash) = 32),
        ids uuid[] not null,
        entries text not null,
        created_at timestamptz not null default now(),
        primary key (epoch, last)
      );
      alter table audit_batches alter column entries set storage external, alter column ids set storage external;

      insert into audit_batches (epoch, first, last, previous, hash, ids, entries, created_at)
      select epoch, seq, seq, previous, hash, array[id], json_build_array(json_build_object('id', id, 'action', action,
        'salt', translate(encode(salt, 'base64'), E'+/=\\n', '-_'),
        'event', translate(encode(canonical, 'base64'), E'+/=\\n', '-_'))), created_at
      from audit_outbox where seq is not null;
      delete from audit_outbox where seq is not null;

      alter table audit_outbox drop column epoch, drop column seq, drop column previous, drop column hash,
        set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
    `,
  },
};
