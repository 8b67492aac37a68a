/**
 * Providers as tenants configure them, several each and by name; secrets with versions, states, tags and times; and every
 * write at a provider until its outcome is known (R23).
 */
export const keyProxy0002 = `
  alter table providers drop constraint providers_kind_check,
    add check (kind in ('crypto-store', 'aws', 'azure', 'gcp', 'openbao'));

  -- The embedded crypto-store needs no configuration: where a column below is null, that is meant.
  create table provider_configurations (
    id uuid primary key,
    tenant text not null,
    name text not null check (name ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    kind text not null check (kind in ('aws', 'azure', 'gcp', 'openbao')),
    -- What is no secret: a region, a project, a vault's address.
    settings jsonb not null,
    -- The credentials, sealed under the tenant's key; the context names this row.
    sealed bytea,
    -- Counts the changes: a client that was made of an earlier one is closed.
    generation bigint not null default 1 check (generation > 0),
    configured_at timestamptz not null,
    checked_at timestamptz not null,
    unique (tenant, name)
  );

  -- Where a tenant's new secrets go; of the kind only, where that is the embedded one.
  alter table providers add column configuration uuid references provider_configurations;

  -- Where one person's go instead.
  create table provider_defaults (
    tenant text not null,
    owner_issuer text not null,
    owner_sub text not null,
    configuration uuid references provider_configurations on delete cascade,
    primary key (tenant, owner_issuer, owner_sub)
  );

  alter table secrets
    drop constraint secrets_state_check,
    drop constraint secrets_check,
    add column configuration uuid references provider_configurations,
    -- The newest version, by our own count; the provider's name of it is provider_version.
    add column version int not null default 1 check (version > 0),
    add column type text not null default 'text' check (type in ('text', 'binary')),
    add column description text not null default '' check (length(description) <= 1000),
    add column tags jsonb not null default '{}',
    -- Names that its owner gave to versions.
    add column labels jsonb not null default '{}',
    add column expires_at timestamptz,
    add column rotate_days int check (rotate_days between 1 and 3650),
    add column rotate_at timestamptz,
    -- The last time that was told of: expiry and rotation are each told once.
    add column reminded_at timestamptz,
    -- How long a value may be answered from the cache, and how much longer while the provider is down.
    add column cache_seconds int not null default 60 check (cache_seconds between 0 and 86400),
    add column stale_seconds int not null default 0 check (stale_seconds between 0 and 604800),
    add column deleted_at timestamptz,
    add check (state in ('creating', 'live', 'disabled', 'deleted')),
    add check ((state = 'creating') = (provider_version is null)),
    add check ((state = 'creating') = (fingerprint is null)),
    add check ((state = 'deleted') = (deleted_at is not null));
  create index secrets_due on secrets (least(expires_at, rotate_at)) where state = 'live';

  create table secret_versions (
    secret_id uuid not null references secrets on delete cascade,
    version int not null check (version > 0),
    provider_version text not null,
    fingerprint bytea not null check (octet_length(fingerprint) = 32),
    type text not null check (type in ('text', 'binary')),
    -- Null where it was not counted, before this table.
    bytes int check (bytes >= 0),
    state text not null default 'enabled' check (state in ('enabled', 'disabled')),
    -- Of a generated key pair: the half that is no secret.
    public_key text,
    created_at timestamptz not null,
    primary key (secret_id, version)
  );
  insert into secret_versions (secret_id, version, provider_version, fingerprint, type, created_at)
    select id, 1, provider_version, fingerprint, 'text', created_at from secrets where state = 'live';

  -- A write at a provider, under the id of its intent in the log. Without an outcome it is open, and one is enough: the
  -- next write of that secret waits until it is settled.
  create table provider_writes (
    id uuid primary key,
    secret_id uuid not null,
    tenant text not null,
    operation text not null check (operation in
      ('create', 'put', 'disable', 'enable', 'disable_version', 'enable_version', 'delete', 'recover', 'destroy')),
    -- The version that is written, or whose state is changed.
    version int,
    fingerprint bytea check (octet_length(fingerprint) = 32),
    type text,
    bytes int,
    public_key text,
    started_at timestamptz not null,
    outcome text check (outcome in ('done', 'refused')),
    settled_at timestamptz,
    check ((outcome is null) = (settled_at is null))
  );
  create unique index provider_writes_open on provider_writes (secret_id) where outcome is null;
  create index provider_writes_settled on provider_writes (settled_at) where outcome is not null;
`;
