/**
 * One row a minted token. `id` is its `jti`, `parent` the `jti` of the subject token: following parents leads back to the
 * token of the realm or of the grant that everything came from. `actors` is the chain, newest first.
 */
export const exchanges0001 = `
  create table exchanges (
    id uuid primary key,
    parent text not null,
    parent_issuer text not null,
    subject_kind text not null,
    subject_client text not null,
    tenant text not null,
    person_issuer text,
    person_sub text,
    workload text not null,
    actors text[] not null,
    audience text not null,
    scopes text[] not null,
    held_by text not null,
    policy_version text not null,
    decided_by text not null,
    expires_at timestamptz not null,
    created_at timestamptz not null,
    check ((person_issuer is null) = (person_sub is null))
  );
  create index exchanges_parent on exchanges (parent);
  create index exchanges_person on exchanges (tenant, person_issuer, person_sub, created_at);
`;
