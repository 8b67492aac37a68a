/**
 * The log (R22, R25-R28). `log_entries` holds what each leaf stands for, `log_nodes` every complete subtree, which never
 * changes; `log_head` is the one row under whose lock entries are appended. A leaf is never altered: erasing an event empties
 * `salt`, `canonical` and the columns that are searched.
 */
export const log0001 = `
  create table log_head (
    only_row boolean primary key default true check (only_row),
    size bigint not null check (size >= 0)
  );
  insert into log_head (size) values (0);

  create table log_entries (
    index bigint primary key,
    kind text not null check (kind in ('entry', 'opaque', 'batch')),
    leaf bytea not null,
    producer text not null,
    epoch integer not null,
    seq bigint,
    received_at timestamptz not null,
    event_id uuid,
    action text,
    outcome text,
    tenant text,
    occurred_at timestamptz,
    salt bytea,
    canonical bytea,
    signed_batch text
  );
  create unique index log_entries_place on log_entries (producer, epoch, seq) where seq is not null;
  create index log_entries_tenant on log_entries (tenant, index) where tenant is not null;
  create index log_entries_event on log_entries (event_id) where event_id is not null;

  create table log_nodes (
    level smallint not null,
    index bigint not null,
    hash bytea not null check (octet_length(hash) = 32),
    primary key (level, index)
  );

  create table log_checkpoints (
    size bigint primary key,
    root bytea not null check (octet_length(root) = 32),
    note text,
    created_at timestamptz not null
  );

  create table log_producers (
    producer text primary key,
    epoch integer not null,
    seq bigint not null,
    hash bytea not null check (octet_length(hash) = 32),
    index bigint not null,
    received_at timestamptz not null
  );

  create table log_keys (
    id uuid primary key,
    name text not null,
    verifier text not null,
    sealed bytea not null,
    active boolean not null,
    created_at timestamptz not null
  );
  create unique index log_keys_active on log_keys (active) where active;

  create table log_quarantine (
    id bigint generated always as identity primary key,
    producer text not null,
    reason text not null,
    digest bytea not null,
    bytes integer not null,
    received_at timestamptz not null
  );

  create table log_alarms (
    id bigint generated always as identity primary key,
    kind text not null,
    producer text not null,
    epoch integer not null,
    seq bigint not null,
    raised_at timestamptz not null,
    unique (kind, producer, epoch, seq)
  );
`;
