import { createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify(pbkdf2);

/** OWASP's figure for PBKDF2-HMAC-SHA-256; FIPS 140 validated modules have no Argon2. */
const ITERATIONS = 600_000;
const SALT_BYTES = 16;
const HASH_BYTES = 32;

/** `pbkdf2-sha256$ITERATIONS$SALT$HASH`, base64url: what a policy holds of a client secret. */
export async function hashClientSecret(secret: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const hash = await derive(secret, salt, ITERATIONS, HASH_BYTES, 'sha256');
  return `pbkdf2-sha256$${ITERATIONS}$${salt.toString('base64url')}$${hash.toString('base64url')}`;
}

export type ClientSecrets = {
  /** Whether this secret was found right for one of these hashes before: no work is done. */
  known(secret: string, hashes: readonly string[]): boolean;
  /** Whether the secret is one of these; some tenths of a second of work. */
  verify(secret: string, hashes: readonly string[]): Promise<boolean>;
};

const MOST_HELD = 1_000;

/**
 * Checks client secrets, and the same one only once: what was right is held as an HMAC under a key of this process, so that
 * neither a secret nor anything to guess it by stays in memory.
 */
export function openClientSecrets(): ClientSecrets {
  const key = randomBytes(HASH_BYTES);
  const right = new Set<string>();
  const nameOf = (secret: string, hash: string) =>
    createHmac('sha256', key).update(`${hash}\0${secret}`).digest('base64url');

  return {
    known: (secret, hashes) => hashes.some((hash) => right.has(nameOf(secret, hash))),
    async verify(secret, hashes) {
      for (const hash of hashes) {
        const [, iterations = '', salt = '', wanted = ''] = hash.split('$');
        const expected = Buffer.from(wanted, 'base64url');
        if (expected.length !== HASH_BYTES) continue;
        const made = await derive(secret, Buffer.from(salt, 'base64url'), Number(iterations), HASH_BYTES, 'sha256');
        if (!timingSafeEqual(made, expected)) continue;
        if (right.size >= MOST_HELD) right.clear();
        right.add(nameOf(secret, hash));
        return true;
      }
      return false;
    },
  };
}
