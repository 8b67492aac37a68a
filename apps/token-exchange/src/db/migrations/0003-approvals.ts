/**
 * Requests that wait for a person (R19). `binding` is SHA-256 (base64url) over everything that an approval is good for;
 * at most one of a binding is open. `actors` is the whole chain, the caller first.
 */
export const exchanges0003 = `
  create table approvals (
    id uuid primary key,
    binding text not null,
    tenant text not null,
    person_issuer text not null,
    person_sub text not null,
    actors text[] not null,
    workload text not null,
    audience text not null,
    scopes text[] not null,
    policy_version text not null,
    justification text,
    state text not null check (state in ('pending', 'approved', 'denied', 'expired', 'consumed')),
    persons_needed integer not null check (persons_needed in (1, 2)),
    approved_scopes text[],
    interval_seconds integer not null,
    polled_at timestamptz not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    ended_at timestamptz,
    check ((state in ('approved', 'consumed')) = (approved_scopes is not null))
  );
  create unique index approvals_open on approvals (binding) where state in ('pending', 'approved');
  create index approvals_listed on approvals (tenant, state, created_at, id);
  create index approvals_binding on approvals (binding, created_at);

  create table approval_decisions (
    approval_id uuid not null references approvals,
    person_issuer text not null,
    person_sub text not null,
    decision text not null check (decision in ('approved', 'denied')),
    scopes text[] not null,
    reason text,
    decided_at timestamptz not null,
    primary key (approval_id, person_issuer, person_sub)
  );
`;
