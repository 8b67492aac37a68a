import { argon2 as argon2Callback, pbkdf2 as pbkdf2Callback, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import bcrypt from 'bcryptjs';
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
   * nothing and answers false. While there are imported bcrypt hashes anywhere, `bcryptCost` is their highest cost: then
   * every verification does that work too, so that time does not tell whose hash is still one of those.
   */
  verify(password: Secret, hashed: string | null, bcryptCost?: number | null): Promise<boolean>;
  /** Whether a hash is not one that would be made today: to be made anew at the next login. */
  isOutdated(hashed: string): boolean;
};

/** The cost of a bcrypt hash (`$2b$12$...`), null for any other. Over 13 a login would take seconds. */
export function bcryptCostOf(hashed: string): number | null {
  const match = /^\$2[aby]\$(0[4-9]|1[0-3])\$[./A-Za-z0-9]{53}$/.exec(hashed);
  return match ? Number(match[1]) : null;
}

/** Argon2id, or PBKDF2 under FIPS. */
export async function openPasswords({ fips }: { fips: boolean }): Promise<Passwords> {
  const algorithm = fips ? pbkdf2Hash : argon2idHash;
  const take = limited(MOST_AT_ONCE);
  const name = fips ? 'pbkdf2-sha256' : 'argon2id';
  const parameters = fips ? `${PBKDF2_ITERATIONS}` : `${ARGON2_MEMORY_KIB},${ARGON2_PASSES}`;
  const hash = async (password: Secret): Promise<string> => {
    const salt = randomBytes(SALT_BYTES);
    const hashed = await take(() => algorithm(password, salt, parameters));
    return [name, parameters, salt.toString('base64url'), hashed.toString('base64url')].join('$');
  };
  const ofNobody = await hash(new Secret(randomBytes(SALT_BYTES).toString('base64url')));
  return {
    hash,
    isOutdated: (hashed) => !hashed.startsWith(`${name}$${parameters}$`),
    async verify(password, hashed, bcryptCost = null) {
      const imported = hashed === null ? null : bcryptCostOf(hashed);
      const isImported =
        bcryptCost !== null && (await take(() => bcryptWork(password, imported === null ? null : hashed, bcryptCost)));
      const own = imported === null ? (hashed ?? ofNobody) : ofNobody;
      const [made, given = '', salt = '', expected = ''] = own.split('$');
      const derive = made === 'argon2id' ? argon2idHash : pbkdf2Hash;
      const found = await take(() => derive(password, Buffer.from(salt, 'base64url'), given));
      const wanted = Buffer.from(expected, 'base64url');
      const isOwn = found.length === wanted.length && timingSafeEqual(found, wanted) && hashed !== null;
      return imported === null ? isOwn : isImported;
    },
  };
}

const bcryptSalt = (cost: number): string => `$2b$${String(cost).padStart(2, '0')}$${'.'.repeat(22)}`;

/**
 * Compares with a bcrypt hash, or with none, in the work of the highest cost whatever the hash's own: 2^c rounds, and then
 * 2^c, 2^(c+1), ... for nothing, are 2^highest together.
 */
async function bcryptWork(password: Secret, hashed: string | null, highest: number): Promise<boolean> {
  const right = hashed !== null && (await bcrypt.compare(password.reveal(), hashed));
  const first = hashed === null ? highest : (bcryptCostOf(hashed) ?? highest);
  if (hashed === null) await bcrypt.hash(password.reveal(), bcryptSalt(highest));
  for (let cost = first; cost < highest; cost += 1) await bcrypt.hash(password.reveal(), bcryptSalt(cost));
  return right;
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
