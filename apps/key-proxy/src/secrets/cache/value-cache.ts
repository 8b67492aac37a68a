import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BranchKeys, sealersFor } from '@postern/branch-keys';
import { type RedisClient, type RedisHandle } from '@postern/mtls';
import { Counter, gather, type Logger, type Now, Problem, type Registry, Secret } from '@postern/runtime';
import { RESP_TYPES } from '@redis/client';
import { type HeldSecret } from '../held-secret.ts';
import { type SecretValue, valueTypes } from '../secret-value.ts';

/** A value as it was read at its provider. `version` is ours; null where it was written past this service. */
export type CachedValue = {
  value: SecretValue;
  version: number | null;
  providerVersion: string;
  /** When it was read, in milliseconds. */
  at: number;
};

/** Which value of a secret: a version by its number, or the newest. */
export type CachedPlace = { secret: Pick<HeldSecret, 'id' | 'generation' | 'place'>; version: number | null };

/**
 * Sealed values in Redis, under the secret's generation: what is written, disabled or moved here is another generation, so
 * that what was read before is never looked at again. Redis can be away, slow, emptied or forged: then it is a miss, never an
 * error (R32).
 */
export type ValueCache = {
  get(at: CachedPlace): Promise<CachedValue | null>;
  /** Nobody needs to wait for it: until it is done, whoever asks in this process is given the value itself. */
  put(at: CachedPlace, value: CachedValue, seconds: number): Promise<void>;
  /**
   * A value that `isOfUse`; where there is none, whether this caller is the one that asks the provider: of several replicas
   * one does, and the others wait for what it puts, for {@link LEAD_MS} at most. Where that was in vain, or nobody could be
   * asked, everybody asks.
   */
  lookOrLead(at: CachedPlace, isOfUse: (value: CachedValue) => boolean): Promise<Look>;
};

export type Look =
  | { value: CachedValue }
  /** The caller asks, and says when it is `done`; `old` is what was there and of no use. */
  | { value: null; old: CachedValue | null; done(): Promise<void> };

const PREFIX = 'key-proxy:value:';
const PURPOSE = 'secret-cache';
/** A value of 64 KiB as base64, with what is around it. */
const MOST_BYTES = 128 * 1024;
const REST_MS = 1_000;
const DEADLINE_MS = 250;
const LOOK_EVERY_MS = 15;
/** Other replicas wait so long for the one that asks. */
const LEAD_MS = 3_000;
/** Looks that go in one way to Redis: under load a turn of the event loop brings many. */
const MOST_GATHERED = 64;
/** What is kept is sealed after the event of its read has gone to Postgres: its caller waits for that one. */
const SEAL_AFTER_MS = 2;
/** Of each pair of keys, a value's and its lead's: what is there (bytes), or whether the lead is the caller's now (1, 0). */
const LOOK_OR_LEAD = `local found = {}
  for at = 1, #KEYS, 2 do
    found[#found + 1] = redis.call('get', KEYS[at])
      or (redis.call('set', KEYS[at + 1], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0)
  end
  return found`;
/** Takes the lead off only where it is still one's own. */
const GIVE_UP = `if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0`;

export type ValueCacheDeps = {
  redis: Pick<RedisHandle, 'client' | 'ready'>;
  branchKeys: BranchKeys;
  logger: Logger;
  registry: Registry;
  now: Now;
};

export function createValueCache({ redis, branchKeys, logger, registry, now }: ValueCacheDeps): ValueCache {
  let restUntil = 0;
  /** What is on its way into Redis. */
  const underWay = new Map<string, CachedValue>();
  const results = new Counter({
    name: 'key_proxy_cache_total',
    help: 'Uses of the cache of values, by result',
    labelNames: ['operation', 'result'],
    registers: [registry],
  });
  const using = async <T>(operation: string, use: () => Promise<T>, otherwise: T): Promise<T> => {
    if (!redis.ready() || now().getTime() < restUntil) return otherwise;
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => setImmediate(() => late.reject(new Error('the cache took too long'))), DEADLINE_MS);
    try {
      return await Promise.race([use(), late.promise]);
    } catch (err) {
      restUntil = now().getTime() + REST_MS;
      results.inc({ operation, result: 'failed' });
      logger.warn({ err }, 'the cache did not answer');
      return otherwise;
    } finally {
      clearTimeout(timer);
    }
  };
  const sealers = sealersFor(branchKeys, PURPOSE);
  const sealerOf = ({ secret }: CachedPlace) => sealers(secret.place.tenant);
  // A typed client is a new object at each call: one for each client that the handle ever gives is enough.
  let typed: { of: RedisClient; client: ReturnType<typeof inBuffers> } | undefined;
  const buffers = () => {
    const of = redis.client();
    if (typed?.of !== of) typed = { of, client: inBuffers(of) };
    return typed.client;
  };

  const open = async (at: CachedPlace, bytes: unknown): Promise<CachedValue | null> => {
    if (!Buffer.isBuffer(bytes)) return null;
    try {
      const opened = await sealerOf(at).open(bytes, contextOf(at));
      const entry = JSON.parse(opened.toString()) as [string, string, number | null, string, number];
      opened.fill(0);
      return decoded(entry);
    } catch (error) {
      // Forged, damaged, or sealed for another place: not where its key cannot be had now.
      if (!(error instanceof Problem)) results.inc({ operation: 'get', result: 'refused' });
      return null;
    }
  };
  const get = async (at: CachedPlace): Promise<CachedValue | null> => {
    const name = nameOf(at);
    const found = underWay.get(name) ?? (await open(at, await using('get', () => buffers().get(name), null)));
    results.inc({ operation: 'get', result: found ? 'hit' : 'miss' });
    return found;
  };
  const keep = async (at: CachedPlace, value: CachedValue, seconds: number): Promise<void> => {
    const { type, content } = value.value;
    const entry = Buffer.from(JSON.stringify([type, content.reveal(), value.version, value.providerVersion, value.at]));
    const sealed = await sealerOf(at)
      .seal(entry, contextOf(at))
      .catch(() => null)
      .finally(() => entry.fill(0));
    if (sealed === null || sealed.length > MOST_BYTES) return;
    await using(
      'put',
      async () => {
        await redis.client().set(nameOf(at), sealed, { expiration: { type: 'EX', value: seconds } });
        results.inc({ operation: 'put', result: 'done' });
      },
      undefined,
    );
  };

  const lookTogether = gather(MOST_GATHERED, async (names: string[]) => {
    const mine = randomUUID();
    const keys = names.flatMap((name) => [name, leadOf(name)]);
    const look = () => buffers().eval(LOOK_OR_LEAD, { keys, arguments: [mine, String(LEAD_MS)] });
    const found = await using<unknown>('get', look, null);
    return names.map((_, at) => ({ there: Array.isArray(found) ? (found[at] as unknown) : 1, mine }));
  });
  /** What the one that leads puts there. */
  const ofLeader = async (at: CachedPlace, lead: string, isOfUse: (value: CachedValue) => boolean) => {
    for (const until = performance.now() + LEAD_MS; performance.now() < until;) {
      await sleep(LOOK_EVERY_MS);
      const found = await open(at, await using('get', () => buffers().get(nameOf(at)), null));
      if (found && isOfUse(found)) return found;
      // The leader failed, or keeps nothing.
      if ((await using('lead', () => redis.client().exists(lead), 0)) === 0) return null;
    }
    return null;
  };
  const counted = (look: Look): Look => {
    results.inc({ operation: 'get', result: look.value ? 'hit' : 'miss' });
    return look;
  };

  return {
    get,
    async put(at, value, seconds) {
      if (seconds <= 0) return;
      const name = nameOf(at);
      underWay.set(name, value);
      await sleep(SEAL_AFTER_MS, undefined, { ref: false });
      await keep(at, value, seconds).finally(() => underWay.delete(name));
    },
    async lookOrLead(at, isOfUse) {
      const name = nameOf(at);
      const lead = leadOf(name);
      const kept = underWay.get(name);
      if (kept && isOfUse(kept)) return counted({ value: kept });
      const { there, mine } = await lookTogether(name);
      const old = await open(at, there);
      if (old && isOfUse(old)) return counted({ value: old });
      const take = () =>
        redis.client().set(lead, mine, { condition: 'NX', expiration: { type: 'PX', value: LEAD_MS } });
      const leads = Buffer.isBuffer(there) ? (await using('lead', take, 'OK')) === 'OK' : there === 1;
      if (!leads) {
        const value = await ofLeader(at, lead, isOfUse);
        return counted(value ? { value } : { ...nothingThere, old });
      }
      const leave = async () => void (await redis.client().eval(GIVE_UP, { keys: [lead], arguments: [mine] }));
      return counted({ value: null, old, done: () => using('lead', leave, undefined) });
    },
  };
}

/** Without a Redis nothing is kept, and every replica asks for itself. */
export const nothingThere = { value: null, old: null, done: async () => {} } as const satisfies Look;
export const noCache: ValueCache = {
  get: async () => null,
  put: async () => {},
  lookOrLead: async () => nothingThere,
};

const versionOf = (version: number | null) => (version === null ? 'newest' : String(version));
const nameOf = ({ secret, version }: CachedPlace): string =>
  `${PREFIX}${secret.id}:${secret.generation}:${versionOf(version)}`;
const leadOf = (name: string): string => `${name}:lead`;
/** Bound into the seal: an entry that was moved to another secret's place, or to a later generation, does not open. */
const contextOf = ({ secret, version }: CachedPlace) => ({
  secret: secret.id,
  generation: secret.generation,
  version: versionOf(version),
});

const inBuffers = (client: RedisClient) => client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });

function decoded([type, content, version, providerVersion, at]: [
  string,
  string,
  number | null,
  string,
  number,
]): CachedValue | null {
  const known = valueTypes.find((one) => one === type);
  if (!known || typeof content !== 'string') return null;
  return { value: { type: known, content: new Secret(content) }, version, providerVersion, at };
}
