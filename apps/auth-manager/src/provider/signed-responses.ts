import { isJudgement } from '@postern/oidc';
import { errors, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { type Now, problem } from '@postern/runtime';
import { z } from 'zod';
import type { ResponseParameters } from './provider-calls.ts';

export type SignedResponses = {
  issuer: string;
  clientId: string;
  algorithms: readonly string[];
  keys: JWTVerifyGetKey;
  now: Now;
};

const parameters = z.looseObject({
  state: z.string().max(512).optional(),
  code: z.string().min(1).max(4096).optional(),
  error: z.string().max(128).optional(),
  exp: z.number(),
});

/** An answer lives for as long as a browser needs for one redirect. */
const MAX_AGE_SECONDS = 600;

/**
 * Reads an answer to the browser that the provider signed (JARM, 2.4): signature by its published keys, `iss` its issuer,
 * `aud` this client, `exp` not past. Its parameters are the claims.
 * @throws Problem `provider_refused`; `provider_unavailable` when the keys cannot be had.
 */
export async function readSignedResponse(
  { issuer, clientId, algorithms, keys, now }: SignedResponses,
  response: string,
): Promise<ResponseParameters> {
  try {
    const { payload } = await jwtVerify(response, keys, {
      issuer,
      audience: clientId,
      algorithms: [...algorithms],
      currentDate: now(),
      clockTolerance: 10,
      requiredClaims: ['exp'],
    });
    const { state, code, error, exp } = parameters.parse(payload);
    if (exp > now().getTime() / 1000 + MAX_AGE_SECONDS) throw new errors.JWTClaimValidationFailed('too long', payload);
    return { state, code, error, iss: issuer };
  } catch (cause) {
    throw problem(isJudgement(cause) ? 'provider_refused' : 'provider_unavailable', { cause });
  }
}
