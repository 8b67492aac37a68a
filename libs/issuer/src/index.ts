export { issuerMigrations } from './migrations.ts';
export type { KeyTimes } from './key-times.ts';
export type { Act, MintedClaims } from './minted-claims.ts';
export {
  JWKS_MAX_AGE_SECONDS,
  openIssuer,
  type Issuer,
  type IssuerSpec,
  type Minted,
  type MintOptions,
} from './open-issuer.ts';
export { ASSERTION_KEYS_PATH, openAssertions, type Assertions, type AssertionsSpec } from './open-assertions.ts';
export type { MintedType, Query, Seal } from './ports.ts';
export { rewrapSigningKeys } from './rewrap-keys.ts';
export { ownKeysFirst } from './own-keys-first.ts';
export { openIntrospection, type Introspection } from './introspect.ts';
export { openRevocations, type RevocationSequence } from './revocations/open-revocations.ts';
