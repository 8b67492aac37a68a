/**
 * Signing keys: one row a key, its private half sealed. `number` counts the keys of one kind; (kind, number) is what
 * replicas that start at once agree by.
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
  },
} as const;
