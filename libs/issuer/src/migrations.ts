/**
 * Signing keys: one row a key, its private half sealed. `number` counts the keys of one kind; (kind, number) is what
 * replicas that start at once agree by. Revocations (R14): one row a revocation, numbered by the one row of the head,
 * which every transaction that revokes holds until it commits.
 */
export const issuerMigrations = {
  set: 'issuer',
  steps: {
    '0001-issuer-keys': `
      create table issuer_keys (
        kind text not null,
        number integer not null check (number > 0),
        kid text not null unique,
        alg text not null,
        public_jwk text not null,
        sealed_private bytea not null,
        signs_from timestamptz not null,
        created_at timestamptz not null,
        primary key (kind, number)
      );
    `,
    '0002-revocations': `
      create table revocation_head (
        single boolean primary key default true check (single),
        seq bigint not null check (seq >= 0)
      );
      insert into revocation_head (seq) values (0);
      create table revocations (
        seq bigint primary key,
        target_key text not null,
        target text not null,
        until timestamptz not null
      );
      create index revocations_target on revocations (target_key);
      create index revocations_until on revocations (until);
    `,
  },
} as const;
