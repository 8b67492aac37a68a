import { problem, type Now } from '@postern/runtime';
import { jwtVerify, type JWTVerifyGetKey } from 'jose';
import { z } from 'zod';
import { isJudgement } from './is-judgement.ts';

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';
const MAX_AGE_SECONDS = 300;
const SKEW_SECONDS = 10;

const name = z.string().min(1).max(256).optional();

/** OpenID Connect Back-Channel Logout 1.0, 2.4; `revoke_offline_access` is Keycloak's. */
const claims = z
  .looseObject({
    jti: z.string().min(1).max(256),
    iat: z.int(),
    exp: z.int(),
    sub: name,
    sid: name,
    nonce: z.never().optional(),
    events: z.looseObject({ [EVENT]: z.looseObject({}), revoke_offline_access: z.boolean().optional() }),
  })
  .refine(({ sub, sid }) => sub !== undefined || sid !== undefined);

/** A login that is over: of the session, or of all sessions of the person where none is named. */
export type VerifiedLogout = {
  issuer: string;
  sub: string | undefined;
  sessionId: string | undefined;
  /** The provider says that the offline tokens of the session died with it. */
  offlineToo: boolean;
  /** Whom the token is for, all of them. */
  audiences: readonly string[];
  /** `jti`: good once. */
  tokenId: string;
  /** When the token would be refused anyway. */
  expiresAt: Date;
};

export type LogoutTokenCheck = {
  issuer: string;
  /** Clients of the issuer whose logout tokens are taken; one of them must be in `aud`. */
  audiences: readonly string[];
  algorithms: readonly string[];
  keys: JWTVerifyGetKey;
  now: Now;
};

/**
 * R15: header `logout+jwt`, signature, issuer, audience, age, `events`, no `nonce`, and `sub` or `sid`. That `jti` is used once is
 * the caller's to see to, in its transaction.
 * @throws Problem `logout_refused`, whatever is wrong; `provider_unavailable` where the keys cannot be had
 */
export async function checkLogoutToken(
  { issuer, audiences, algorithms, keys, now }: LogoutTokenCheck,
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
      clockTolerance: SKEW_SECONDS,
    });
    const { sub, sid, jti, exp, events } = claims.parse(payload);
    return {
      issuer,
      sub,
      sessionId: sid,
      offlineToo: events.revoke_offline_access === true,
      audiences: [payload.aud ?? []].flat(),
      tokenId: jti,
      expiresAt: new Date((exp + SKEW_SECONDS) * 1000),
    };
  } catch (cause) {
    throw problem(isJudgement(cause) ? 'logout_refused' : 'provider_unavailable', { cause });
  }
}
