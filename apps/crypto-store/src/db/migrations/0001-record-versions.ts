/**
 * Records with versions. A record's key may name a person: it stands here sealed (`sealed_key`), is found by its MAC
 * (`address`), and by the MACs of the prefixes that end in `/` (`record_prefixes`). `id` is the opaque name that stands in
 * the sealed messages' contexts (R29). `version` is the newest one; `live_until` says, for it, until when it is read:
 * `infinity`, when it expires, or when it was deleted. `key_version` is the branch key version that a sealed column names. No release wrote the table before, so it is made anew.
 */
export const recordVersions0001 = `
  drop table records;
  create table records (
    id uuid primary key,
    tenant text not null check (length(tenant) between 1 and 64),
    namespace text not null check (length(namespace) between 1 and 63),
    address bytea not null check (octet_length(address) = 32),
    sealed_key bytea not null,
    key_version uuid generated always as (sealed_key_version(sealed_key)) stored,
    version bigint not null check (version > 0),
    live_until timestamptz not null default 'infinity',
    keep_versions integer not null check (keep_versions between 1 and 64),
    match_required boolean not null default false,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    unique (tenant, address)
  );
  create index records_by_key_version on records (key_version);
  create index records_of_namespace on records (tenant, namespace, id);

  create table record_versions (
    record_id uuid not null references records on delete cascade,
    version bigint not null check (version > 0),
    sealed bytea,
    key_version uuid generated always as (sealed_key_version(sealed)) stored,
    bytes integer not null,
    created_at timestamptz not null,
    expires_at timestamptz,
    deleted_at timestamptz,
    destroyed_at timestamptz,
    live_until timestamptz not null
      generated always as (coalesce(least(expires_at, deleted_at, destroyed_at), 'infinity')) stored,
    primary key (record_id, version),
    check ((sealed is null) = (destroyed_at is not null))
  );
  -- What is sealed does not compress.
  alter table record_versions alter column sealed set storage external;
  create index record_versions_by_key_version on record_versions (key_version);
  create index record_versions_ended on record_versions (live_until) where sealed is not null and live_until < 'infinity';

  create table record_prefixes (
    tenant text not null,
    prefix bytea not null check (octet_length(prefix) = 32),
    record_id uuid not null references records on delete cascade,
    primary key (tenant, prefix, record_id)
  );
  create index record_prefixes_of_record on record_prefixes (record_id);

  create table record_writes (
    idempotency_key text primary key,
    request text not null,
    record_id uuid not null,
    version bigint not null,
    created boolean not null,
    written_at timestamptz not null
  );
  create index record_writes_age on record_writes (written_at);
`;
