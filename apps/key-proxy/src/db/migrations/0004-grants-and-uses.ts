/** What others than its owner may do with a secret, and what it may be used for without being shown. */
export const keyProxy0004 = `
  create table secret_grants (
    secret_id uuid not null references secrets on delete cascade,
    -- A person of the secret's own tenant (R3).
    grantee_issuer text not null,
    grantee_sub text not null,
    verbs text[] not null check (verbs <@ array['read', 'use', 'update', 'delete'] and cardinality(verbs) > 0),
    granted_at timestamptz not null,
    primary key (secret_id, grantee_issuer, grantee_sub)
  );
  create index secret_grants_grantee on secret_grants (grantee_issuer, grantee_sub);

  -- R37: fixed beforehand, by whoever may update the secret.
  create table secret_uses (
    secret_id uuid primary key references secrets on delete cascade,
    definition jsonb not null,
    -- Counts the changes: a use goes out under the definition that it was checked against.
    generation bigint not null default 1 check (generation > 0),
    defined_at timestamptz not null
  );
`;
