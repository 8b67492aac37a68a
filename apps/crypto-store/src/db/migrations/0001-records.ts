/**
 * One row a record. `id` is the opaque name that stands in the sealed message's context (R29); `key` stands only here.
 * A namespace belongs to the workload that wrote it. `version` counts up with every write and is bound into the message.
 */
export const records0001 = `
  create table records (
    id uuid primary key,
    tenant text not null check (length(tenant) between 1 and 64),
    namespace text not null check (length(namespace) between 1 and 63),
    key text not null check (length(key) between 1 and 512),
    version bigint not null check (version > 0),
    sealed bytea not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    deleted_at timestamptz,
    unique (tenant, namespace, key)
  );
`;
