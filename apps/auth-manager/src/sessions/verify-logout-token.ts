import { TokenRefused } from '@postern/oidc';
import { errors, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { type Now, problem } from '@postern/runtime';
import { z } from 'zod';
import type { Logout } from './end-sessions.ts';

export const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout';
const MAX_AGE_SECONDS = 300;

/** OpenID Connect Back-Channel Logout 1.0, 2.4; `revoke_offline_access` is Keycloak's. */
const claims = z.looseObject({
  iss: z.string(),
  jti: z.string().min(1).max(256),
  iat: z.int(),
  exp: z.int(),
  sub: z.string().min(1).max(256).optional(),
  sid: z.string().min(1).max(256).optional(),
  nonce: z.never().optional(),
  events: z.looseObject({
    [LOGOUT_EVENT]: z.looseObject({}),
    revoke_offline_access: z.boolean().optional(),
  }),
});

export type VerifiedLogout = Omit<Logout, 'tenants'> & {
  tokenId: string;
  expiresAt: Date;
  audiences: readonly string[];
};

export type VerifyLogoutToken = {
  issuer: string;
  /** Clients of the issuer whose logout tokens are taken (R15). */
  audiences: readonly string[];
  algorithms: readonly string[];
  keys: JWTVerifyGetKey;
  now: Now;
};

/**
 * Verifies a logout token (R15): header `logout+jwt`, signature, issuer, audience, age, `events` present, no `nonce`,
 * `sub` or `sid` present. Single use of `jti` is the caller's, in its transaction.
 * @throws Problem `logout_refused`, whatever is wrong; `provider_unavailable` when the keys cannot be had.
 */
export async function verifyLogoutToken(
  { issuer, audiences, algorithms, keys, now }: VerifyLogoutToken,
  token: string,
): Promise<VerifiedLogout> {
  try {
    const { payload } = await jwtVerify(token, keys, {
      issuer,
      audience: [...audiences],
      algorithms: [...algorithms],
      typ: 'logout+jwt',
      currentDate: now(),
      maxTokenAge: MAX_AGE_SECONDS,
      clockTolerance: 10,
    });
    const { sub, sid, jti, exp, events } = claims.parse(payload);
    if (sub === undefined && sid === undefined) throw new TokenRefused('bad_claims');
    return {
      issuer,
      sub,
      sessionId: sid,
      offlineToo: events.revoke_offline_access === true,
      audiences: [payload.aud ?? []].flat(),
      tokenId: jti,
      expiresAt: new Date((exp + 60) * 1000),
    };
  } catch (cause) {
    throw problem(isJudgement(cause) ? 'logout_refused' : 'provider_unavailable', { cause });
  }
}

/** Whether the token was judged, or its keys could not be had: jose has a code of its own for each, but for an answer other than 200. */
function isJudgement(error: unknown): boolean {
  if (error instanceof z.ZodError || error instanceof TokenRefused) return true;
  if (!(error instanceof errors.JOSEError)) return false;
  return !(error instanceof errors.JWKSTimeout || error.code === errors.JOSEError.code);
}
