/**
 * Companies with accounts of their own (R2), and for every tenant: which provider keeps its secrets, where each secret
 * lies (never its value), and what its administrators read under `/audit-logs`.
 */
export const keyProxy0001 = `
  create table companies (
    tenant text primary key check (tenant ~ '^kp_[0-9a-f]{32}$'),
    name text not null check (length(name) between 1 and 200),
    created_at timestamptz not null
  );

  create table accounts (
    id uuid primary key,
    tenant text not null references companies,
    -- Trimmed and in lower case: one account an address.
    email text not null unique check (length(email) between 3 and 254),
    contact_name text not null check (length(contact_name) between 1 and 200),
    phone_number text not null check (length(phone_number) between 1 and 32),
    role text not null check (role in ('admin', 'user')),
    -- The algorithm with its parameters, the salt and the hash; see accounts/password.ts.
    password_hash text not null,
    created_at timestamptz not null
  );
  create index accounts_tenant on accounts (tenant);

  -- Failures in a row (R16), by the SHA-256 of the address: kept for known and unknown addresses alike.
  create table login_failures (
    email_digest bytea primary key check (octet_length(email_digest) = 32),
    failures int not null check (failures > 0),
    last_at timestamptz not null
  );
  create index login_failures_last_at on login_failures (last_at);

  create table providers (
    tenant text primary key,
    kind text not null check (kind in ('crypto-store', 'aws', 'azure', 'gcp')),
    configured_at timestamptz not null
  );

  create table secrets (
    id uuid primary key,
    tenant text not null,
    -- A person is (tenant, issuer, sub), R3.
    owner_issuer text not null,
    owner_sub text not null,
    name text not null check (length(name) between 1 and 256),
    provider text not null,
    reference text not null,
    -- The write at the provider is under way until these three are known.
    state text not null default 'creating' check (state in ('creating', 'live')),
    provider_version text,
    fingerprint bytea check (octet_length(fingerprint) = 32),
    -- Counts the changes of the reference: what was read under another one is stale (R32).
    generation bigint not null default 1 check (generation > 0),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    unique (tenant, owner_issuer, owner_sub, name),
    check ((state = 'live') = (provider_version is not null and fingerprint is not null))
  );

  create table activity (
    id bigint generated always as identity primary key,
    tenant text not null,
    person_issuer text not null,
    person_sub text not null,
    action text not null,
    secret_name text,
    status text not null check (status in ('success', 'refused', 'failed')),
    at timestamptz not null
  );
  create index activity_tenant on activity (tenant, id);
`;
