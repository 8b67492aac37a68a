import { createCipheriv, createDecipheriv, createSecretKey, randomBytes, type KeyObject } from 'node:crypto';
import { serializePairs, type EncryptionContext } from '@postern/envelope';
import { RootKeyRefused } from './errors.ts';
import { readKeyFile } from './local-key-file.ts';
import { type RootKey } from './root-key.ts';

const FORMAT = 1;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;
const WRAPPED_BYTES = 1 + IV_BYTES + KEY_BYTES + TAG_BYTES;

/** Shaped as a KMS key's ARN, because the stock SDK asks for one; the partition says that it is none of Amazon's. */
export const localArn = (keyId: string): string => `${PREFIX}${keyId}`;

const PREFIX = 'arn:postern:kms:local:000000000000:key/';
const isLocalArn = (arn: string): boolean => arn.startsWith(PREFIX);

/**
 * A root key in a file, for development, tests, and installations with a dated waiver (R6). Branch keys are wrapped
 * with AES-256-GCM, the canonical context as additional data: format 1 | iv 12 | wrapped key 32 | tag 16. A random iv
 * is safe for far more branch keys (2^32) than there will ever be.
 * @throws Error naming the path when the file cannot be read, is malformed, or is open to all users.
 */
export async function openLocalRootKey({ path }: { path: string }): Promise<RootKey> {
  const held = new Map<string, KeyObject>();
  const read = async (): Promise<string> => {
    const { active, keys } = await readKeyFile(path);
    for (const { id, key } of keys) {
      held.set(localArn(id), createSecretKey(key));
      key.fill(0);
    }
    return localArn(active);
  };
  const arn = await read();

  const keyAt = async (wanted: string): Promise<KeyObject> => {
    // A replica that began later may wrap under a key that was added to the file since.
    if (!held.has(wanted) && isLocalArn(wanted)) await read();
    const key = held.get(wanted);
    if (key === undefined) throw new RootKeyRefused();
    return key;
  };

  return {
    arn,
    holds: isLocalArn,
    wrap: async (key, context) => wrap(await keyAt(arn), key, context),
    async generate(context) {
      const rootKey = await keyAt(arn);
      const key = randomBytes(KEY_BYTES);
      const wrapped = wrap(rootKey, key, context);
      key.fill(0);
      return wrapped;
    },
    async rewrap(wrapped, from, to) {
      const [source, destination] = [await keyAt(from.arn), await keyAt(to.arn)];
      const key = unwrap(source, wrapped, from.context);
      const rewrapped = wrap(destination, key, to.context);
      key.fill(0);
      return rewrapped;
    },
    unwrap: async (wrapped, at) => unwrap(await keyAt(at.arn), wrapped, at.context),
    check: async () => {},
    close: () => held.clear(),
  };
}

function wrap(rootKey: KeyObject, key: Uint8Array, context: EncryptionContext): Buffer {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', rootKey, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(serializePairs(context));
  return Buffer.concat([Buffer.from([FORMAT]), iv, cipher.update(key), cipher.final(), cipher.getAuthTag()]);
}

function unwrap(rootKey: KeyObject, wrapped: Uint8Array, context: EncryptionContext): Buffer {
  if (wrapped.length !== WRAPPED_BYTES || wrapped[0] !== FORMAT) throw new RootKeyRefused();
  const ivEnd = 1 + IV_BYTES;
  const decipher = createDecipheriv('aes-256-gcm', rootKey, wrapped.subarray(1, ivEnd), { authTagLength: TAG_BYTES });
  decipher.setAAD(serializePairs(context));
  decipher.setAuthTag(wrapped.subarray(ivEnd + KEY_BYTES));
  const key = decipher.update(wrapped.subarray(ivEnd, ivEnd + KEY_BYTES));
  try {
    decipher.final();
  } catch {
    key.fill(0);
    throw new RootKeyRefused();
  }
  return key;
}
