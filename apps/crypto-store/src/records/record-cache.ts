import { type RedisClient, type RedisHandle } from '@postern/mtls';
import { Counter, gather, type Logger, type Now, type Registry } from '@postern/runtime';
import { RESP_TYPES } from '@redis/client';
import { decodeEntry, encodeEntry, type CachedRecord } from './cache-entry.ts';

/** Sealed records in Redis. It can be away, slow, emptied or forged: then it is a miss, never an error (R32). */
export type RecordCache = {
  get(address: Buffer): Promise<CachedRecord | null>;
  put(address: Buffer, record: CachedRecord): Promise<void>;
  /** Takes out what was deleted. An entry that stays, because Redis is away, is refused by its guard. */
  drop(address: Buffer): Promise<void>;
};

const PREFIX = 'crypto-store:record:';
const MAX_ENTRY_BYTES = 64 * 1024;
/** Entries asked for by one command: 4 MiB at the most. */
const MOST_GATHERED = 64;
/** After a failure Redis is left alone for this long, so that a slow one does not slow every request. */
const REST_MS = 1_000;
/** A cache that takes longer is no cache. */
const DEADLINE_MS = 250;

/** The cache over one Redis. `ttlSeconds` bounds how long a change made behind our back goes unseen. */
export function createRecordCache({
  redis,
  ttlSeconds,
  logger,
  metrics,
  now,
}: {
  redis: Pick<RedisHandle, 'client' | 'ready'>;
  ttlSeconds: number;
  logger: Logger;
  metrics: Registry;
  now: Now;
}): RecordCache {
  let restUntil = 0;
  const results = new Counter({
    name: 'crypto_store_cache_total',
    help: 'Uses of the record cache by result',
    labelNames: ['operation', 'result'],
    registers: [metrics],
  });
  // A typed client is a new object at each call: one for each client that the handle ever gives is enough.
  let typed: { of: RedisClient; client: ReturnType<typeof inBuffers> } | undefined;
  const buffers = () => {
    const of = redis.client();
    if (typed?.of !== of) typed = { of, client: inBuffers(of) };
    return typed.client;
  };
  const using = async <T>(operation: string, use: () => Promise<T>, otherwise: T, entries = 1): Promise<T> => {
    if (!redis.ready() || now().getTime() < restUntil) {
      results.inc({ operation, result: 'skipped' }, entries);
      return otherwise;
    }
    try {
      return await inTime(use());
    } catch (err) {
      restUntil = now().getTime() + REST_MS;
      results.inc({ operation, result: 'failed' }, entries);
      logger.warn({ err }, 'the cache did not answer');
      return otherwise;
    }
  };

  const nothing = (names: string[]): (CachedRecord | null)[] => names.map(() => null);
  const look = async (names: string[]): Promise<(CachedRecord | null)[]> => {
    const entries = (await buffers().mGet(names)).map(decodeEntry);
    const hits = entries.filter((entry) => entry !== null).length;
    results.inc({ operation: 'get', result: 'hit' }, hits);
    results.inc({ operation: 'get', result: 'miss' }, entries.length - hits);
    return entries;
  };
  const lookTogether = gather(MOST_GATHERED, (names: string[]) =>
    using('get', () => look(names), nothing(names), names.length),
  );

  return {
    get: (address) => lookTogether(nameOf(address)),
    put: (address, record) => {
      const entry = encodeEntry(record);
      // A record that grew over the limit must not leave its older self behind.
      const name = nameOf(address);
      return using(
        'put',
        async () => {
          if (entry.length > MAX_ENTRY_BYTES) await redis.client().del(name);
          else await redis.client().set(name, entry, { expiration: { type: 'EX', value: ttlSeconds } });
          results.inc({ operation: 'put', result: 'done' });
        },
        undefined,
      );
    },
    drop: (address) =>
      using(
        'drop',
        async () => {
          await redis.client().del(nameOf(address));
          results.inc({ operation: 'drop', result: 'done' });
        },
        undefined,
      ),
  };
}

const nameOf = (address: Buffer): string => PREFIX + address.toString('base64url');

const inBuffers = (client: RedisClient) => client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });

async function inTime<T>(answer: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const refuse = () => reject(new Error('the cache took too long'));
  // Where this process itself was late, the answer may have come already: it is read before the verdict.
  const timer = setTimeout(() => setImmediate(refuse), DEADLINE_MS);
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
