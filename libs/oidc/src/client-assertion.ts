import { compactVerify, importJWK, type JWK } from 'jose';
import { z } from 'zod';
import { parseCompactJws } from './compact-jws.ts';
import type { UseOnce } from './dpop-proof.ts';
import { fits } from './key-set.ts';
import { plainTyp } from './token-kinds.ts';
import { TokenRefused } from './token-refused.ts';

/** The longest life of an assertion, in seconds: it is made for one request. */
export const ASSERTION_LIFE_SECONDS = 300;
const EARLY_SECONDS = 5;

export type ClientAssertionCheck = {
  assertion: string;
  /** The only `aud` that counts: the authorization server's issuer (FAPI 2.0 Security Profile, 5.3.2.1). */
  audience: string;
  /** The registered public keys of a client; `undefined` where there is no such client. */
  keysOf: (clientId: string) => readonly JWK[] | undefined;
  algorithms: readonly string[];
  useOnce: UseOnce;
  now: () => Date;
};

const assertionClaims = z.looseObject({
  iss: z.string().min(1).max(128),
  sub: z.string().min(1).max(128),
  aud: z.union([z.string(), z.array(z.string()).length(1)]),
  exp: z.number().int(),
  nbf: z.number().int().optional(),
  iat: z.number().int().optional(),
  jti: z.string().min(8).max(256),
});

// RFC 7523 names no type; its update names the second. Anything else is another kind of token (R7).
const types: readonly (string | null)[] = [null, 'jwt', 'client-authentication+jwt'];

/**
 * Checks a `private_key_jwt` assertion (RFC 7523 section 3) and uses up its `jti` (R16).
 * @returns the client's id
 * @throws TokenRefused; whatever `useOnce` throws when it cannot record
 */
export async function checkClientAssertion(check: ClientAssertionCheck): Promise<string> {
  const { assertion, audience, keysOf, algorithms, useOnce, now } = check;
  const { header, claims } = parseCompactJws(assertion);
  if (!types.includes(plainTyp(header.typ)) || (header.typ !== undefined && plainTyp(header.typ) === null)) {
    throw new TokenRefused('wrong_kind');
  }
  if (!algorithms.includes(header.alg)) throw new TokenRefused('algorithm_refused');
  const parsed = assertionClaims.safeParse(claims);
  if (!parsed.success || parsed.data.iss !== parsed.data.sub) throw new TokenRefused('bad_claims');
  const { sub: clientId, aud, exp, nbf, iat, jti } = parsed.data;
  const key = keysOf(clientId)?.find(({ kid }) => kid !== undefined && kid === header.kid);
  if (!key || !fits(key, header.alg)) throw new TokenRefused('unknown_key');
  await compactVerify(assertion, await importJWK(key, header.alg), { algorithms: [header.alg] }).catch(
    (cause: unknown) => {
      throw new TokenRefused('bad_signature', { cause });
    },
  );
  const at = now().getTime() / 1000;
  if ([aud].flat()[0] !== audience) throw new TokenRefused('wrong_audience');
  if (at >= exp) throw new TokenRefused('expired');
  if (exp > at + ASSERTION_LIFE_SECONDS + EARLY_SECONDS) throw new TokenRefused('bad_claims');
  if (Math.max(nbf ?? 0, iat ?? 0) > at + EARLY_SECONDS) throw new TokenRefused('not_yet_valid');
  const expiresAt = new Date((exp + EARLY_SECONDS) * 1000);
  if (!(await useOnce('client-assertion', `${clientId}:${jti}`, expiresAt)))
    throw new TokenRefused('assertion_replayed');
  return clientId;
}
