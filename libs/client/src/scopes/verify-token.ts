import { createRemoteJWKSet, customFetch, errors, jwtVerify, type JWTPayload } from 'jose';
import { PosternError } from '../errors.ts';

/** Where a token's issuer and keys are, and how to get there. */
export type TokenAuthority = { issuer: string; jwksUri: string; fetch: typeof fetch };

/** What a verified token says. */
export type VerifiedToken = { scopes: string[]; audiences: string[]; expiresAt: Date; claims: JWTPayload };

/** Never a shared secret, never `none`. */
const ALGORITHMS = ['ES256', 'PS256', 'RS256', 'EdDSA'];
const SKEW_SECONDS = 5;

export type VerifyToken = (token: string) => Promise<VerifiedToken>;

/**
 * Verifies tokens of one issuer: signature, issuer, time. Its keys are fetched at the first token, and again for an unknown `kid`, at most every
 * 30 seconds.
 * @throws PosternError `token_refused`; `unreachable` where the keys cannot be had
 */
export function createTokenCheck(
  authority: () => Promise<TokenAuthority>,
  service: string,
  now: () => Date,
): VerifyToken {
  let opened: Promise<{ issuer: string; keys: ReturnType<typeof createRemoteJWKSet> }> | undefined;
  const open = () =>
    (opened ??= authority().then(
      ({ issuer, jwksUri, fetch }) => ({
        issuer,
        keys: createRemoteJWKSet(new URL(jwksUri), { [customFetch]: fetch, timeoutDuration: 5_000 }),
      }),
      (error: unknown) => {
        opened = undefined;
        throw error;
      },
    ));
  return async (token) => {
    const { issuer, keys } = await open();
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer,
        algorithms: ALGORITHMS,
        currentDate: now(),
        clockTolerance: SKEW_SECONDS,
        requiredClaims: ['exp'],
      });
      const { scope, aud, exp = 0 } = payload;
      return {
        scopes: typeof scope === 'string' ? scope.split(' ').filter(Boolean) : [],
        audiences: [aud ?? []].flat(),
        expiresAt: new Date(exp * 1000),
        claims: payload,
      };
    } catch (error) {
      const judged =
        error instanceof errors.JOSEError &&
        error.code !== errors.JOSEError.code &&
        !(error instanceof errors.JWKSTimeout);
      throw new PosternError(service, judged ? 'token_refused' : 'unreachable', {
        detail: error instanceof errors.JOSEError ? error.code : 'the keys of the issuer cannot be had',
      });
    }
  };
}
