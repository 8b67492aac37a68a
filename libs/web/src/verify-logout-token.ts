import { problem, type Now } from '@postern/runtime';
import type { Provider } from '@postern/oidc';
import { createRemoteJWKSet, customFetch, errors, jwtVerify, type JWTVerifyGetKey } from 'jose';
import { fetch, type Dispatcher } from 'undici';
import { z } from 'zod';

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';
const MAX_AGE_SECONDS = 300;
const SKEW_SECONDS = 10;

/** OpenID Connect Back-Channel Logout 1.0, 2.4. */
const claims = z.looseObject({
  jti: z.string().min(1).max(256),
  iat: z.int(),
  exp: z.int(),
  sub: z.string().min(1).max(256).optional(),
  sid: z.string().min(1).max(256).optional(),
  nonce: z.never().optional(),
  events: z.looseObject({ [EVENT]: z.looseObject({}) }),
});

export type VerifiedLogout = {
  issuer: string;
  sub: string | undefined;
  sessionId: string | undefined;
  tokenId: string;
  /** When the token would be refused anyway. */
  expiresAt: Date;
};

export type VerifyLogout = {
  issuer: string;
  /** This client: the only audience whose logouts are taken here. */
  clientId: string;
  algorithms: readonly string[];
  keys: JWTVerifyGetKey;
  now: Now;
};

/** The provider's signing keys, read over its own dispatcher at most once in 30 seconds. */
export function logoutKeys(
  provider: () => Promise<Pick<Provider, 'metadata'>>,
  dispatcher: Dispatcher,
): JWTVerifyGetKey {
  let keys: JWTVerifyGetKey | undefined;
  return async (header, token) => {
    keys ??= createRemoteJWKSet(new URL(String((await provider()).metadata.jwks_uri)), {
      [customFetch]: ((url: string, init: object) =>
        fetch(url, { ...init, dispatcher })) as unknown as typeof globalThis.fetch,
      cooldownDuration: 30_000,
      cacheMaxAge: 600_000,
    });
    return keys(header, token);
  };
}

/**
 * R15: header `logout+jwt`, signature, issuer, audience, age, `events`, no `nonce`, and `sub` or `sid`. That `jti` is used once is
 * the caller's to see to, in its transaction.
 * @throws Problem `logout_refused`, whatever is wrong; `provider_unavailable` where the keys cannot be had
 */
export async function verifyLogoutToken(
  { issuer, clientId, algorithms, keys, now }: VerifyLogout,
  token: string,
): Promise<VerifiedLogout> {
  try {
    const { payload } = await jwtVerify(token, keys, {
      issuer,
      audience: clientId,
      algorithms: [...algorithms],
      typ: 'logout+jwt',
      currentDate: now(),
      maxTokenAge: MAX_AGE_SECONDS,
      clockTolerance: SKEW_SECONDS,
    });
    const { sub, sid, jti, exp } = claims
      .refine((said) => said.sub !== undefined || said.sid !== undefined)
      .parse(payload);
    return { issuer, sub, sessionId: sid, tokenId: jti, expiresAt: new Date((exp + SKEW_SECONDS) * 1000) };
  } catch (cause) {
    throw problem(isJudgement(cause) ? 'logout_refused' : 'provider_unavailable', { cause });
  }
}

/** Whether the token was judged, or its keys could not be had: jose has a code of its own for each, but for an answer other than 200. */
const isJudgement = (error: unknown): boolean =>
  error instanceof z.ZodError ||
  (error instanceof errors.JOSEError && !(error instanceof errors.JWKSTimeout || error.code === errors.JOSEError.code));
