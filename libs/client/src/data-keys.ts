import { createHash, randomBytes } from 'node:crypto';
import { type DataKey, type DataKeys, type EncryptionContext, serializeContext } from '@postern/envelope';
import { type CallService, shaped } from './call-service.ts';
import { PosternError } from './errors.ts';
import { createKeyShelf } from './key-shelf.ts';
import { type CallAs } from './options.ts';

/** Where a message of the caller belongs: its own pairs, the whole context they become, and on whose behalf. */
export type LocallyAt = { pairs: Record<string, string>; context: EncryptionContext; as: CallAs };

export type DataKeyOptions = {
  /** How long keys stay in memory, in milliseconds; 0: never. While one does, its use is not asked for again. */
  ttlMs: number;
  /** How many opened keys stay, and for how many contexts fresh ones are kept. */
  most: number;
  now: () => Date;
};

type Created = { branchKeyId: string; context: EncryptionContext; dataKeys: { plaintext?: string; wrapped: string }[] };
/** Fresh keys of one context, and how many were asked for last: a context that comes again asks for twice as many. */
type Fresh = { keys: DataKey[]; asked: number };

const MOST_AT_ONCE = 64;
const MESSAGE_ID_BYTES = 32;

/** Data keys that crypto-store makes and opens, kept for a while; each fresh one is for one message. */
export function serviceDataKeys(
  call: CallService,
  { ttlMs, most, now }: DataKeyOptions,
): DataKeys<LocallyAt> & { clear(): void } {
  const fresh = createKeyShelf<Fresh>({
    ttlMs,
    most,
    now,
    discard: ({ keys }) => keys.forEach(({ plaintext }) => plaintext.fill(0)),
  });
  const opened = createKeyShelf<Buffer>({ ttlMs, most, now, discard: (key) => key.fill(0) });

  const create = async ({ pairs, context, as }: LocallyAt, count: number): Promise<DataKey[]> => {
    const body = { context: pairs, count };
    const wanted = { method: 'POST', path: '/v1/data-keys', body, scopes: ['data-keys:create'] } as const;
    const made = shaped<Created>('crypto-store', await call(wanted, as), 'branchKeyId', 'context', 'dataKeys');
    // What the service binds the key to must be what the message will say.
    if (!serializeContext(made.context).equals(serializeContext(context)) || made.dataKeys.length !== count) {
      throw new PosternError('crypto-store', 'unexpected_answer', { detail: 'data keys for another context' });
    }
    return made.dataKeys.map(({ plaintext = '', wrapped }) => ({
      plaintext: Buffer.from(plaintext, 'base64'),
      wrapped: Buffer.from(wrapped, 'base64'),
      branchKeyId: Buffer.from(made.branchKeyId),
      messageId: randomBytes(MESSAGE_ID_BYTES),
    }));
  };
  const open = async ({ pairs, as }: LocallyAt, wrapped: Buffer): Promise<Buffer> => {
    const body = { wrapped: wrapped.toString('base64'), context: pairs };
    const wanted = { method: 'POST', path: '/v1/data-keys/decrypt', body, scopes: ['data-keys:decrypt'] } as const;
    const { plaintext } = shaped<{ plaintext: string }>('crypto-store', await call(wanted, as), 'plaintext');
    return Buffer.from(plaintext, 'base64');
  };

  return {
    async withFresh(at, context, use) {
      const name = nameOf(at, context);
      const known = fresh.get(name);
      const kept = known?.keys.pop();
      if (kept !== undefined) return use(kept);
      const count = known === undefined ? 1 : Math.min(2 * known.asked, MOST_AT_ONCE);
      const [first, ...rest] = await create(at, count);
      if (first === undefined) throw new PosternError('crypto-store', 'unexpected_answer');
      fresh.put(name, { keys: rest, asked: count });
      return use(first);
    },
    async withOpened(at, { dataKey, context }, use) {
      const name = nameOf(at, context, dataKey);
      const known = opened.get(name);
      if (known !== undefined) return use(Buffer.from(known));
      const key = await open(at, dataKey);
      // What is used is overwritten: the shelf keeps another copy.
      opened.put(name, Buffer.from(key));
      return use(key);
    },
    clear() {
      fresh.clear();
      opened.clear();
    },
  };
}

/** Of whom, for what: nobody gets a key that was given to another. Only a hash of the token is kept. */
function nameOf({ as }: LocallyAt, ...parts: Buffer[]): string {
  const hash = createHash('sha256').update('token' in as ? `t ${as.token}` : `s ${as.subjectToken}`);
  for (const part of parts) hash.update(`\n${part.length}\n`).update(part);
  return hash.digest('base64url');
}
