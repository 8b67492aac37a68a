/**
 * Consents, grants, the handles that jobs use them by, and the journal of refreshes (R18, R20).
 * A person is (tenant, issuer, sub), R3. Bytes named `sealed_*` are envelope messages.
 */
export const grants0001 = `
create table grants (
  id uuid primary key,
  tenant text not null,
  person_issuer text not null,
  person_sub text not null,
  provider text not null,
  client text not null,
  session text not null,
  kind text not null check (kind in ('offline', 'session')),
  scopes text[] not null,
  acr text,
  auth_time timestamptz,
  state text not null default 'active'
    check (state in ('active', 'reauthorization_required', 'ended', 'revoking')),
  -- Counts the tokens this grant has had; the fence of a refresh.
  generation bigint not null default 1 check (generation > 0),
  -- Gone once the provider has revoked it.
  sealed_token bytea,
  token_fingerprint bytea,
  -- When the provider last said that the grant lives (R11).
  confirmed_at timestamptz not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  -- One grant per person, provider, client, session and kind: a second consent renews the first's token.
  unique (tenant, person_issuer, person_sub, provider, client, session, kind),
  check ((sealed_token is null) = (token_fingerprint is null)),
  check (state not in ('active') or sealed_token is not null)
);
create index grants_session on grants (provider, session);
create index grants_unfinished on grants (updated_at) where state = 'revoking';

create table handles (
  id uuid primary key,
  grant_id uuid not null references grants on delete cascade,
  workload text not null,
  audiences text[] not null check (cardinality(audiences) > 0),
  scopes text[] not null check (cardinality(scopes) > 0),
  uses bigint not null default 0,
  created_at timestamptz not null,
  unique (grant_id, workload)
);

create table refresh_attempts (
  id uuid primary key,
  grant_id uuid not null references grants on delete cascade,
  -- The generation it was made from: a reply is applied to no other.
  generation bigint not null,
  token_fingerprint bytea not null,
  -- Past it nothing is written to the provider's socket any more.
  deadline timestamptz not null,
  state text not null default 'intended'
    check (state in ('intended', 'replied', 'applied', 'refused', 'abandoned')),
  sealed_reply bytea,
  created_at timestamptz not null,
  finished_at timestamptz,
  check ((state = 'replied') = (sealed_reply is not null))
);
-- At most one attempt of a grant is open: the next one must settle it first.
create unique index refresh_attempts_open on refresh_attempts (grant_id) where state in ('intended', 'replied');

create table consents (
  id uuid primary key,
  tenant text not null,
  person_issuer text not null,
  person_sub text not null,
  started_by text not null,
  provider text not null,
  scopes text[] not null,
  handle_workload text not null,
  handle_audiences text[] not null,
  handle_scopes text[] not null,
  return_to text,
  state text not null default 'pending'
    check (state in ('pending', 'started', 'redeeming', 'completed', 'denied', 'failed')),
  reason text,
  grant_id uuid references grants on delete set null,
  -- SHA-256 of the state parameter and of the browser's cookie: the values themselves are kept nowhere.
  state_hash bytea unique,
  browser_hash bytea,
  -- PKCE verifier and nonce; gone once the code was redeemed.
  sealed_flow bytea,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  finished_at timestamptz,
  -- SHA-256 of the caller's Idempotency-Key, and of the request it came with.
  idempotency_key text unique,
  idempotency_request text
);
create index consents_expiry on consents (expires_at);

create table provider_keys (
  provider text not null,
  -- client: private_key_jwt; dpop: proofs (R9).
  use text not null check (use in ('client', 'dpop')),
  sealed_key bytea not null,
  created_at timestamptz not null,
  primary key (provider, use)
);
`;
