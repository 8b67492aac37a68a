import { createHash } from 'node:crypto';
import { calculateJwkThumbprint, compactVerify, importJWK, type JWK } from 'jose';
import { z } from 'zod';
import { parseCompactJws } from './compact-jws.ts';
import { fits } from './key-set.ts';
import { plainTyp } from './token-kinds.ts';
import { TokenRefused } from './token-refused.ts';

/** Remembers a value until it expires; false where it was seen before (R16: a unique insert in Postgres). */
export type UseOnce = (kind: string, value: string, expiresAt: Date) => Promise<boolean>;

/** A proof counts this long after (and, for clocks that differ, before) its `iat`. */
export const PROOF_WINDOW_SECONDS = 60;
const PROOF_EARLY_SECONDS = 5;

const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k', 'oth'];

const proofClaims = z.looseObject({
  jti: z.string().min(8).max(256),
  htm: z.string().max(16),
  htu: z.string().max(2_048),
  iat: z.number().int(),
  ath: z.string().length(43).optional(),
});

export type DpopCheck = {
  proof: string;
  method: string;
  /** The absolute URL of the request; query and fragment are ignored on both sides. */
  url: string;
  algorithms: readonly string[];
  /** The access token the proof must name in `ath`; absent at a token endpoint. */
  accessToken?: string;
  useOnce: UseOnce;
  now: () => Date;
};

/**
 * Checks a DPoP proof (RFC 9449 section 4.3) and uses up its `jti`.
 * @returns the thumbprint (`jkt`) of the key that made it
 * @throws TokenRefused `proof_invalid`, `proof_replayed`; whatever `useOnce` throws when it cannot record
 */
export async function checkDpopProof(check: DpopCheck): Promise<string> {
  const { jkt, jti, iat } = await provenBy(check).catch((error: unknown) => {
    throw new TokenRefused('proof_invalid', { cause: error });
  });
  const expiresAt = new Date((iat + PROOF_WINDOW_SECONDS + PROOF_EARLY_SECONDS) * 1000);
  if (!(await check.useOnce('dpop', `${jkt}:${jti}`, expiresAt))) throw new TokenRefused('proof_replayed');
  return jkt;
}

async function provenBy({ proof, method, url, algorithms, accessToken, now }: DpopCheck) {
  const { header } = parseCompactJws(proof, { embeddedKey: true });
  if (plainTyp(header.typ) !== 'dpop+jwt' || !algorithms.includes(header.alg)) throw invalid();
  const jwk = z.looseObject({ kty: z.string() }).parse(header.jwk) as JWK;
  if (privateMembers.some((member) => Object.hasOwn(jwk, member)) || !fits(jwk, header.alg)) throw invalid();
  const { payload } = await compactVerify(proof, await importJWK(jwk, header.alg), { algorithms: [header.alg] });
  const claims = proofClaims.parse(JSON.parse(Buffer.from(payload).toString('utf8')));
  const age = now().getTime() / 1000 - claims.iat;
  if (age > PROOF_WINDOW_SECONDS || age < -PROOF_EARLY_SECONDS) throw invalid();
  if (claims.htm !== method || withoutQuery(claims.htu) !== withoutQuery(url)) throw invalid();
  if (accessToken !== undefined && claims.ath !== sha256(accessToken)) throw invalid();
  return { jkt: await calculateJwkThumbprint(jwk), jti: claims.jti, iat: claims.iat };
}

const sha256 = (value: string) => createHash('sha256').update(value).digest('base64url');

function withoutQuery(value: string): string {
  const url = new URL(value);
  return `${url.origin}${url.pathname}`;
}

const invalid = () => new Error('not a proof for this request');
