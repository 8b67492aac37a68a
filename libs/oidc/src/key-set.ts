import { createHash } from 'node:crypto';
import { importJWK, type CryptoKey, type JSONWebKeySet, type JWK } from 'jose';
import type { FetchJwks } from './fetch-jwks.ts';
import { TokenRefused } from './token-refused.ts';

/** When a key set is read again, and how long it is believed while it cannot be. Seconds. */
export type KeySetTimes = {
  /** Read again in the background after this long (R13: the JWKS max-age). */
  refreshAfterSeconds: number;
  /** Cached keys are believed this long while the issuer does not answer; then 503. */
  maxAgeSeconds: number;
  /** At most one read in this time, whatever arrives. */
  coolDownSeconds: number;
  /** The cool-down while no keys are believed: all are refused then, and should be for no longer than the issuer is away. */
  retryAfterSeconds: number;
};

export const keySetTimes: KeySetTimes = {
  refreshAfterSeconds: 300,
  maxAgeSeconds: 900,
  coolDownSeconds: 30,
  retryAfterSeconds: 1,
};

export type KeySet = {
  /**
   * The issuer's public key `kid` for `alg`.
   * @throws TokenRefused `unknown_key`; `keys_unavailable` where the issuer could not be asked
   */
  keyFor(kid: string, alg: string): Promise<CryptoKey>;
  /**
   * Grows whenever the set's content changes: what was verified under an older one is verified again. Asking also
   * begins a read that is due; -1 where the held keys are too old to be believed.
   */
  generation(): number;
  /** Loads the keys unless they are held. @throws TokenRefused `keys_unavailable` */
  ready(): Promise<void>;
};

export type OpenKeySet = {
  jwksUri: string;
  algorithms: readonly string[];
  fetchJwks: FetchJwks;
  now: () => Date;
  times?: KeySetTimes;
};

/** Keys by `kid`, then by algorithm: a `kid` never serves an algorithm its key is not made for. */
type Keys = Map<string, Map<string, CryptoKey>>;

/** The public keys of one issuer: read on demand, at most once in a cool-down, by one reader at a time. */
export function openKeySet({ jwksUri, algorithms, fetchJwks, now, times = keySetTimes }: OpenKeySet): KeySet {
  let keys: Keys | null = null;
  let fingerprint = '';
  let generation = 0;
  let readAt = -Infinity;
  let triedAt = -Infinity;
  let lastTryFailed = false;
  let reading: Promise<void> | null = null;

  const seconds = () => now().getTime() / 1000;
  const believed = () => keys !== null && seconds() - readAt < times.maxAgeSeconds;

  async function read() {
    try {
      const jwks = await fetchJwks(jwksUri);
      const found = fingerprintOf(jwks);
      if (found !== fingerprint || keys === null) {
        keys = await importKeys(jwks, algorithms);
        fingerprint = found;
        generation += 1;
      }
      readAt = seconds();
      lastTryFailed = false;
    } catch {
      lastTryFailed = true;
    }
  }

  /** One read for all who ask at once; nothing within the cool-down of the last one. */
  function readOnce(): Promise<void> {
    if (reading) return reading;
    if (seconds() - triedAt < (believed() ? times.coolDownSeconds : times.retryAfterSeconds)) return Promise.resolve();
    triedAt = seconds();
    reading = read().finally(() => (reading = null));
    return reading;
  }

  const refreshIfDue = () => {
    if (seconds() - readAt >= times.refreshAfterSeconds) void readOnce();
  };

  const held = (kid: string, alg: string) => (believed() ? keys?.get(kid)?.get(alg) : undefined);

  return {
    async keyFor(kid, alg) {
      const known = held(kid, alg);
      if (known) {
        refreshIfDue();
        return known;
      }
      await readOnce();
      const found = held(kid, alg);
      if (found) return found;
      throw new TokenRefused(!believed() || lastTryFailed ? 'keys_unavailable' : 'unknown_key');
    },
    generation() {
      refreshIfDue();
      return believed() ? generation : -1;
    },
    async ready() {
      if (!believed()) await readOnce();
      if (!believed()) throw new TokenRefused('keys_unavailable');
    },
  };
}

function fingerprintOf({ keys }: JSONWebKeySet): string {
  const lines = keys.map((jwk) => JSON.stringify(Object.entries(jwk).sort(([a], [b]) => (a < b ? -1 : 1)))).sort();
  return createHash('sha256').update(lines.join('\n')).digest('base64url');
}

async function importKeys({ keys }: JSONWebKeySet, algorithms: readonly string[]): Promise<Keys> {
  const byKid: Keys = new Map();
  for (const jwk of keys) {
    if (typeof jwk.kid !== 'string' || jwk.kty === 'oct' || (jwk.use !== undefined && jwk.use !== 'sig')) continue;
    // Two keys under one `kid` would make the answer depend on their order: neither is taken.
    const taken = byKid.has(jwk.kid);
    const usable = new Map<string, CryptoKey>();
    for (const alg of taken ? [] : algorithms.filter((name) => fits(jwk, name))) {
      const key = await importJWK(publicPart(jwk), alg).catch(() => null);
      if (key !== null && !(key instanceof Uint8Array)) usable.set(alg, key);
    }
    byKid.set(jwk.kid, usable);
  }
  return byKid;
}

const curves: Record<string, { kty: string; crv?: string }> = {
  ES256: { kty: 'EC', crv: 'P-256' },
  ES384: { kty: 'EC', crv: 'P-384' },
  EdDSA: { kty: 'OKP', crv: 'Ed25519' },
  PS256: { kty: 'RSA' },
  PS384: { kty: 'RSA' },
  RS256: { kty: 'RSA' },
};

/** Whether a key is of the algorithm's type; a stated `alg` binds it to that one (RFC 7517 section 4.4). */
export function fits(jwk: JWK, alg: string): boolean {
  const wanted = curves[alg];
  if (!wanted || jwk.kty !== wanted.kty) return false;
  if (wanted.crv !== undefined && jwk.crv !== wanted.crv) return false;
  return jwk.alg === undefined || jwk.alg === alg || (alg === 'EdDSA' && jwk.alg === 'Ed25519');
}

const publicPart = ({ kty, crv, x, y, n, e }: JWK): JWK => JSON.parse(JSON.stringify({ kty, crv, x, y, n, e })) as JWK;
