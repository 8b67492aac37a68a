import { type RedisHandle } from '@postern/mtls';
import { Counter, type Logger, type Now, type Registry } from '@postern/runtime';
import { RESP_TYPES } from '@redis/client';
import { decodeEntry, encodeEntry, type CachedRecord } from './cache-entry.ts';

/** Sealed records in Redis. It can be away, slow, emptied or forged: then it is a miss, never an error (R32). */
export type RecordCache = {
  get(addressMac: string): Promise<CachedRecord | null>;
  put(addressMac: string, record: CachedRecord): Promise<void>;
};

const PREFIX = 'crypto-store:record:';
const MAX_ENTRY_BYTES = 64 * 1024;
/** After a failure Redis is left alone for this long, so that a slow one does not slow every request. */
const REST_MS = 1_000;
/** A cache that takes longer is no cache. */
const DEADLINE_MS = 100;

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
  const using = async <T>(operation: string, use: () => Promise<T>, otherwise: T): Promise<T> => {
    if (!redis.ready() || now().getTime() < restUntil) {
      results.inc({ operation, result: 'skipped' });
      return otherwise;
    }
    try {
      return await inTime(use());
    } catch (err) {
      restUntil = now().getTime() + REST_MS;
      results.inc({ operation, result: 'failed' });
      logger.warn({ err }, 'the cache did not answer');
      return otherwise;
    }
  };

  return {
    get: (addressMac) =>
      using(
        'get',
        async () => {
          const bytes = redis.client().withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
          const entry = decodeEntry(await bytes.get(PREFIX + addressMac));
          results.inc({ operation: 'get', result: entry === null ? 'miss' : 'hit' });
          return entry;
        },
        null,
      ),
    put: (addressMac, record) => {
      const entry = encodeEntry(record);
      // A record that grew over the limit must not leave its older self behind.
      const name = PREFIX + addressMac;
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
  };
}

async function inTime<T>(answer: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error('the cache took too long')), DEADLINE_MS);
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
