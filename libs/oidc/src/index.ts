export type { Binding, Person, Presented, Principal } from './principal.ts';
export { TokenRefused, type RefusalCode, type RefusalReason } from './token-refused.ts';
export type { TokenKind } from './token-kinds.ts';
export { trustTable, type IssuerEntry, type RevocationIssuer, type TrustTable } from './trust-table.ts';
export { tenantId } from './tenant-id.ts';
export { personName } from './person-name.ts';
export { actorChain } from './claims.ts';
export { isJudgement } from './is-judgement.ts';
export { boundedJson } from './read-json.ts';
export { fetchJwksOver, type FetchJwks } from './fetch-jwks.ts';
export { keySetTimes, type KeySetTimes } from './key-set.ts';
export { checkDpopProof, type DpopCheck, type UseOnce } from './dpop-proof.ts';
export { createTokenVerifier } from './token-verifier.ts';
export type { HeldBy, Revocations, TokenVerifier, TokenVerifierSpec } from './verifier-spec.ts';
export { createRevocationSet, type RevocableBy } from './revocations/revocation-set.ts';
export {
  followRevocations,
  type FollowedRevocations,
  type FollowTimes,
  type RevocationSource,
} from './revocations/follow-revocations.ts';
export { followTrusted, type FollowTrusted } from './revocations/follow-trusted.ts';
export {
  keyOf,
  revocationKinds,
  REVOCATION_HEAD_TYPE,
  REVOCATIONS_PER_PAGE,
  revocationPage,
  revocationTarget,
  type Revocation,
  type RevocationPage,
  type RevocationTarget,
} from './revocations/revocation.ts';
export { readClientKey } from './provider/client-key.ts';
export { ProviderFailed, type ProviderFailure } from './provider/provider-failed.ts';
export {
  openProvider,
  type AuthorizationRequest,
  type BoundTo,
  type CallOptions,
  type ClientAuthentication,
  type Provider,
  type ProviderSpec,
  type ProviderTokens,
  type TokenHint,
} from './provider/open-provider.ts';
export { providerAtNeed } from './provider/provider-at-need.ts';
export { checkLogoutToken, type LogoutTokenCheck, type VerifiedLogout } from './logout-token.ts';
export { checkClientAssertion, type ClientAssertionCheck } from './client-assertion.ts';
