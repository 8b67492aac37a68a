import { argon2 as argon2Callback, pbkdf2 as pbkdf2Callback, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { Secret } from '@postern/runtime';

const argon2 = promisify(argon2Callback);
const pbkdf2 = promisify(pbkdf2Callback);

/** OWASP's parameters for Argon2id (RFC 9106): 19 MiB, two passes, one lane. */
const ARGON2_MEMORY_KIB = 19_456;
const ARGON2_PASSES = 2;
/** OWASP's count for PBKDF2-HMAC-SHA-256, the approved way under FIPS (SP 800-132). */
const PBKDF2_ITERATIONS = 600_000;
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** Each takes 19 MiB and a core for tens of milliseconds: more at once would let logins crowd out everything else. */
const MOST_AT_ONCE = 4;

export type Passwords = {
  /** `algorithm$parameters$salt$hash`, base64url; the parameters are those of now, and stay readable when they change. */
  hash(password: Secret): Promise<string>;
  /**
   * Whether the password is the one that was hashed. With `null` (there is no such account) it does the same work for
   * nothing and answers false.
   */
  verify(password: Secret, hashed: string | null): Promise<boolean>;
};

/** Argon2id, or PBKDF2 under FIPS. */
export async function openPasswords({ fips }: { fips: boolean }): Promise<Passwords> {
  const algorithm = fips ? pbkdf2Hash : argon2idHash;
  const take = limited(MOST_AT_ONCE);
  const hash = async (password: Secret): Promise<string> => {
    const salt = randomBytes(SALT_BYTES);
    const name = fips ? 'pbkdf2-sha256' : 'argon2id';
    const parameters = fips ? `${PBKDF2_ITERATIONS}` : `${ARGON2_MEMORY_KIB},${ARGON2_PASSES}`;
    const hashed = await take(() => algorithm(password, salt, parameters));
    return [name, parameters, salt.toString('base64url'), hashed.toString('base64url')].join('$');
  };
  const ofNobody = await hash(new Secret(randomBytes(SALT_BYTES).toString('base64url')));
  return {
    hash,
    async verify(password, hashed) {
      const [name, parameters = '', salt = '', expected = ''] = (hashed ?? ofNobody).split('$');
      const derive = name === 'argon2id' ? argon2idHash : pbkdf2Hash;
      const found = await take(() => derive(password, Buffer.from(salt, 'base64url'), parameters));
      const wanted = Buffer.from(expected, 'base64url');
      return found.length === wanted.length && timingSafeEqual(found, wanted) && hashed !== null;
    },
  };
}

async function argon2idHash(password: Secret, salt: Buffer, parameters: string): Promise<Buffer> {
  const [memory = 0, passes = 0] = parameters.split(',').map(Number);
  const message = Buffer.from(password.reveal(), 'utf8');
  return argon2('argon2id', { message, nonce: salt, parallelism: 1, tagLength: HASH_BYTES, memory, passes });
}

const pbkdf2Hash = (password: Secret, salt: Buffer, parameters: string): Promise<Buffer> =>
  pbkdf2(password.reveal(), salt, Number(parameters), HASH_BYTES, 'sha256');

function limited(most: number): <T>(work: () => Promise<T>) => Promise<T> {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (running === most) await new Promise<void>((go) => waiting.push(go));
    else running += 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  };
}
