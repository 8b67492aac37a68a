/**
 * Every policy that ever decided: the newest row counts. `content_hash` is SHA-256 (base64url) of the document as it is
 * stored, and the entity tag of the route. A version names one document for ever: it stands in every token's record. A policy is written once: no update, no delete.
 */
export const exchanges0002 = `
  create table policies (
    id bigint generated always as identity primary key,
    version text not null unique,
    document text not null,
    content_hash text not null,
    source text not null check (source in ('file', 'api')),
    made_by text not null,
    created_at timestamptz not null
  );

  -- Tenants that were made or changed here; a row counts before the policy's own line of that id.
  create table tenants (
    id text primary key,
    issuer text,
    state text not null check (state in ('active', 'suspended', 'offboarded')),
    made_by text not null,
    created_at timestamptz not null,
    changed_at timestamptz not null
  );

  -- Grows with every change of policies or tenants: what a decision was made by, in one number.
  create table policy_head (
    single boolean primary key default true check (single),
    revision bigint not null
  );
  insert into policy_head (revision) values (0);
`;
