import type { GrantRow, HandleRow } from './grant.ts';

/** Where a grant token is good (R7). */
export const GRANT_TOKEN_AUDIENCE = 'token-exchange';

/**
 * What a grant token says (R11), besides what the issuer adds (iss, iat, exp, jti, cnf). The person is the grant's, with
 * the issuer who named them (R3); the actor is the job. `audiences` is the handle's restriction on what may be minted from
 * it. It names no session: an offline grant outlives them, and is revoked by `grant_id`.
 */
export const grantTokenClaims = (
  grant: Pick<GrantRow, 'id' | 'tenant' | 'person_issuer' | 'person_sub' | 'acr' | 'auth_time'>,
  handle: Pick<HandleRow, 'audiences' | 'workload'>,
  scopes: readonly string[],
) => ({
  aud: GRANT_TOKEN_AUDIENCE,
  sub: grant.person_sub,
  subject_issuer: grant.person_issuer,
  tenant: grant.tenant,
  client_id: handle.workload,
  scope: scopes.join(' '),
  act: { sub: handle.workload },
  grant_id: grant.id,
  audiences: handle.audiences,
  ...(grant.acr === null ? {} : { acr: grant.acr }),
  ...(grant.auth_time === null ? {} : { auth_time: Math.floor(grant.auth_time.getTime() / 1000) }),
});
