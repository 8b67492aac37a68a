import type { Redeemed } from '../provider/provider-calls.ts';
import type { Secret } from '@postern/runtime';
import { isCertificateBound } from '../grants/judge-token.ts';
import type { ConsentRow, FailureReason } from './consent.ts';

export type Accepted = { token: Secret; session: string; scopes: string[]; idleSeconds: number | null };

/**
 * Judges what a redeemed code brought, before any of it is stored. R18: the ID token must name the very person who
 * started the consent. R9: a refresh token bound to a certificate would die with it. Consented is what was asked, less
 * what the provider knows by name and did not grant.
 */
export function acceptTokens(
  consent: Pick<ConsentRow, 'person_issuer' | 'person_sub' | 'scopes'>,
  { idToken, refreshToken, idleSeconds, scopes: granted }: Redeemed,
  providerScopes: ReadonlySet<string>,
): Accepted | { refused: FailureReason } {
  const samePerson = idToken.iss === consent.person_issuer && idToken.sub === consent.person_sub;
  if (!samePerson) return { refused: 'other_person' };
  const offline = granted === undefined || granted.includes('offline_access');
  if (!refreshToken || !offline) return { refused: 'no_offline_token' };
  if (isCertificateBound(refreshToken)) return { refused: 'certificate_bound_token' };
  const scopes = consent.scopes.filter(
    (scope) => !providerScopes.has(scope) || granted === undefined || granted.includes(scope),
  );
  if (scopes.length === 0) return { refused: 'nothing_consented' };
  return { token: refreshToken, session: idToken.sid ?? '', scopes, idleSeconds: idleSeconds ?? null };
}
