import type { Profile } from '@postern/profile';
import type { UseOnce } from './dpop-proof.ts';
import type { FetchJwks } from './fetch-jwks.ts';
import type { KeySetTimes } from './key-set.ts';
import type { Presented, Principal } from './principal.ts';
import type { TokenKind } from './token-kinds.ts';
import type { IssuerEntry } from './trust-table.ts';

/** R14. `unknown` where this replica cannot tell: the caller gets 503. */
export type Revocations = {
  stateOf(principal: Principal): 'live' | 'revoked' | 'unknown' | Promise<'live' | 'revoked' | 'unknown'>;
};

export type TokenVerifierSpec = {
  /** The operator's table (R1). */
  issuers: readonly IssuerEntry[];
  /** The name of this service: what `aud` must hold, and whose roles count (R3). */
  audience: string;
  /** The kinds this service takes (R7). */
  kinds: readonly TokenKind[];
  profile: Profile;
  fetchJwks: FetchJwks;
  /** Single use of DPoP proofs (R16); without it DPoP-bound tokens are refused. */
  useOnce?: UseOnce;
  revocations?: Revocations;
  /**
   * Whether an unbound token of client `azp` may be exchanged by `workload` (R8; the low profile only). Absent: never.
   */
  bearerSubject?: (azp: string, workload: string) => boolean;
  now?: () => Date;
  times?: KeySetTimes;
  /** Verified tokens held in memory. */
  cacheSize?: number;
};

/** Why a subject token was taken from this caller (R8). */
export type HeldBy = 'holder' | 'audience' | 'bearer-rule';

export type TokenVerifier = {
  /** A token in the Authorization header. @throws TokenRefused */
  verify(token: string, presented: Presented): Promise<Principal>;
  /**
   * A token in the `subject_token` parameter, from the workload that the connection shows: accepted from its holder, or
   * from a workload that its `aud` names; `aud` = this service alone authorises nobody (R8). @throws TokenRefused
   */
  verifySubject(token: string, presented: Presented): Promise<{ principal: Principal; heldBy: HeldBy }>;
  /**
   * A token that is no credential here, for introspection: its signature, kind, time and revocation, whoever it is for
   * and whoever holds it. @throws TokenRefused
   */
  inspect(token: string): Promise<Principal>;
  /** Loads every issuer's keys. @throws TokenRefused `keys_unavailable` */
  ready(): Promise<void>;
  close(): void;
};
