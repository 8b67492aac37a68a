/**
 * What a consent is for; the tenants' own providers and the generations of our keys for them (R1, R9); what an
 * administrator has counted before it is revoked.
 */
export const administration0001 = `
alter table consents
  add column purpose text,
  -- The provider signs its answer to the browser (JARM); a plain one is refused.
  add column signed_response boolean not null default false;

-- Those of tenants; the operator's is in the configuration.
create table providers (
  id uuid primary key,
  tenant text not null,
  issuer text not null,
  client_id text not null,
  name text not null,
  scopes text[] not null,
  state text not null default 'active' check (state in ('active', 'disabled')),
  created_at timestamptz not null,
  updated_at timestamptz not null,
  unique (tenant, issuer)
);
create index providers_issuer on providers (issuer);

alter table provider_keys
  -- Empty: the operator's provider.
  add column tenant text not null default '',
  add column number integer not null default 1 check (number > 0),
  -- When it begins to sign; it is published from the start (R13).
  add column active_from timestamptz not null default '-infinity',
  -- When its public half is published no longer.
  add column retired_at timestamptz,
  drop constraint provider_keys_pkey,
  add primary key (tenant, provider, use, number);

alter table handles add column if not exists last_used_at timestamptz;

create table revocation_plans (
  id uuid primary key,
  tenant text not null,
  made_by text not null,
  filter json not null,
  count bigint not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  job uuid
);

create index grants_tenant on grants (tenant, id);
create index grants_person on grants (tenant, person_sub, id);
create index grants_undiscarded on grants (updated_at) where state = 'ended' and sealed_token is not null;
`;
