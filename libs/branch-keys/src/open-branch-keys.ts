import { randomUUID, type KeyObject } from 'node:crypto';
import { BranchKeyUnknown, uuidOf, type BranchKey, type BranchKeySource } from '@postern/envelope';
import { systemNow, type Now, type Registry } from '@postern/runtime';
import { createKeyRecords, createVersionRecords } from './create-records.ts';
import { KeysUnavailable, RootKeyRefused } from './errors.ts';
import { keyCacheMetrics } from './key-cache-metrics.ts';
import { createKeyCache } from './key-cache.ts';
import { macKeyOf } from './mac-key.ts';
import { ACTIVE, BEACON, versionOf, versionType, wrapContext, type BranchKeyRecord, type Owner } from './record.ts';
import { reaching } from './reaching.ts';
import { type RootKey } from './root-key.ts';
import { insertKey, insertVersion, selectId, selectNewest, selectRecord, selectUsable, type Query } from './table.ts';

export type BranchKeysOptions = {
  query: Query;
  rootKey: RootKey;
  /** R6: a key made in one environment opens in no other. */
  environment: string;
  service: string;
  now?: Now;
  /** How long a branch key stays in memory. Default five minutes. */
  cacheTtlMs?: number;
  /** How many stay in memory. Default 1,000 (the specification's). */
  cacheEntries?: number;
  /** Where the cache says how often a key was in memory. */
  metrics?: Registry;
};

/**
 * A service's branch keys: one per tenant and purpose, versioned, in its Postgres, wrapped by the root key, cached in
 * memory. All reject with `KeysUnavailable` when Postgres or the root key gives no answer.
 */
export type BranchKeys = BranchKeySource & {
  /** The id of a tenant's branch key for a purpose; made on first use. Random: it stands in clear in messages (R29). */
  idFor(tenant: string, purpose: string): Promise<string>;
  /** The same, or null where there is none yet. */
  find(tenant: string, purpose: string): Promise<string | null>;
  /** Lends the MAC or index key of that name, derived from the beacon key (R30). It outlives rotations. */
  withMacKey<T>(branchKeyId: string, name: string, use: (key: KeyObject) => T): Promise<T>;
  /**
   * Makes a new version under the root key. Nothing has changed until `commit` ran, in the transaction whose query it is
   * given, so that what is recorded of it stands or falls with it. Then `recheck` here; other replicas follow when a
   * guard refuses them or their cache expires. Old messages still open.
   */
  prepareRotation(branchKeyId: string): Promise<PreparedRotation>;
  /** Prepares, commits, rechecks. */
  rotate(branchKeyId: string): Promise<void>;
  /**
   * Reads the states of a branch key again, from Postgres alone, and drops from memory what may no longer be used as it
   * was: after a guard (`keyOpens`, `keySeals`) refused, before the second attempt.
   */
  recheck(branchKeyId: string): Promise<void>;
  /**
   * Loads up to that many tenants' keys, so that the first requests after a start wait for no root key; what cannot be
   * loaded is loaded at its first use. Returns how many were.
   */
  warmUp(limit: number): Promise<number>;
  /** Rejects when the root key could not be used, as far as was asked within the last ten seconds. */
  check(): Promise<void>;
  close(): void;
};

/** A version that stands nowhere yet. */
export type PreparedRotation = {
  version: string;
  /** Returns the version's number; null where another replica was faster, or the key is not enabled any more. */
  commit(query: Query): Promise<number | null>;
};

type CachedKey = BranchKey & { key: Buffer; names: string[]; owner: Owner; macKeys: Map<string, KeyObject> };
const UUID_BYTES = 16;
/** Kept of one branch key. */
const MAC_KEYS = 1_000;
const REST_MS = 1_000;
/** Root keys are few; what a row names may be anything. */
const MOST_RESTING = 100;
const CHECK_KEPT_MS = 10_000;
const WARMING_AT_ONCE = 8;

/** Opens a service's branch keys. The root key is closed by who opened it. */
export async function openBranchKeys(options: BranchKeysOptions): Promise<BranchKeys> {
  const { query, rootKey, environment, service, now = systemNow } = options;
  const { cacheTtlMs: ttlMs = 300_000, cacheEntries: maxEntries = 1_000 } = options;
  const cache = createKeyCache<CachedKey>({ ttlMs, maxEntries, now });
  if (options.metrics) keyCacheMetrics(cache.counts, options.metrics);
  const ids = new Map<string, string>();
  const finding = new Map<string, Promise<string>>();

  const restUntil = new Map<string, number>();
  let checked: { at: number; result: Promise<void> } | undefined;

  /**
   * A root key that just failed to answer is left alone for a moment: callers get their 503 at once. Each by itself: one that a few
   * branch keys are still under, and that is disabled, must not keep all others from theirs.
   */
  const unlessResting = async <T>(arn: string, ask: () => Promise<T>): Promise<T> => {
    if (now().getTime() < (restUntil.get(arn) ?? 0)) throw new KeysUnavailable();
    try {
      return await ask();
    } catch (error) {
      if (error instanceof KeysUnavailable) {
        if (restUntil.size >= MOST_RESTING) restUntil.clear();
        restUntil.set(arn, now().getTime() + REST_MS);
      }
      throw error;
    }
  };

  const load = (branchKeyId: string, type: string) => async (): Promise<CachedKey> => {
    const record = await reaching(selectRecord(query, branchKeyId, type));
    if (record === null) throw new BranchKeyUnknown();
    const { owner } = record;
    if (owner.service !== service || owner.environment !== environment) throw new BranchKeyUnknown();
    const key = await unlessResting(record.kmsArn, () => unwrap(rootKey, record));
    const held = { id: branchKeyId, key, owner, macKeys: new Map<string, KeyObject>() };
    if (type === BEACON) return { ...held, version: Buffer.alloc(0), names: [nameOf(branchKeyId, BEACON)] };
    const version = versionOf(record);
    // The active record and its version's hold the same key: one call to the root key serves sealing and opening.
    const names = [versionType(version), ...(type === ACTIVE ? [ACTIVE] : [])];
    return { ...held, version: uuidToBytes(version), names: names.map((name) => nameOf(branchKeyId, name)) };
  };
  const lendActive = <T>(branchKeyId: string, use: (key: CachedKey) => T): Promise<T> =>
    cache.lend(nameOf(branchKeyId, ACTIVE), load(branchKeyId, ACTIVE), use);

  const withBeacon = <T>(branchKeyId: string, use: (key: CachedKey) => T): Promise<T> =>
    cache.lend(nameOf(branchKeyId, BEACON), load(branchKeyId, BEACON), use);

  /** The table of owners is not authenticated, the wrap context is: a row pointed at another tenant's key is refused. */
  const verified = async (branchKeyId: string, tenant: string, purpose: string): Promise<string> => {
    const { owner } = await lendActive(branchKeyId, (key) => ({ owner: key.owner }));
    if (owner.tenant !== tenant || owner.purpose !== purpose) throw new BranchKeyUnknown();
    return branchKeyId;
  };
  const find = async (tenant: string, purpose: string): Promise<string | null> => {
    const id = await reaching(selectId(query, tenant, purpose));
    return id === null ? null : verified(id, tenant, purpose);
  };
  const create = async (tenant: string, purpose: string): Promise<string> => {
    const branchKeyId = randomUUID();
    const owner = { tenant, service, purpose, environment };
    const made = { rootKey, branchKeyId, owner, now: now() };
    const records = await unlessResting(rootKey.arn, () => reaching(createKeyRecords(made)));
    if (await reaching(insertKey(query, records))) return branchKeyId;
    const first = await find(tenant, purpose);
    if (first === null) throw new BranchKeyUnknown();
    return first;
  };
  const prepareRotation = async (branchKeyId: string): Promise<PreparedRotation> => {
    const current = await reaching(selectRecord(query, branchKeyId, ACTIVE));
    if (current?.version === null || current === null) throw new BranchKeyUnknown();
    const made = { rootKey, branchKeyId, owner: current.owner, now: now() };
    const records = { ...(await reaching(createVersionRecords(made))), replaced: current.version };
    return { version: versionOf(records.version), commit: (within) => insertVersion(within, records) };
  };
  const recheck = async (branchKeyId: string): Promise<void> => {
    const usable = await reaching(selectUsable(query, branchKeyId));
    const active = cache.peek(nameOf(branchKeyId, ACTIVE));
    if (active !== undefined && usable.seals !== uuidOf(active.version)) cache.drop(nameOf(branchKeyId, ACTIVE));
    for (const version of usable.refused) cache.drop(nameOf(branchKeyId, versionType(version)));
    if (!usable.enabled) cache.drop(nameOf(branchKeyId, BEACON));
  };

  return {
    withActive: lendActive,
    withVersion: async (branchKeyId, version, use) => {
      if (version.length !== UUID_BYTES) throw new BranchKeyUnknown();
      const type = versionType(uuidOf(version));
      return cache.lend(nameOf(branchKeyId, type), load(branchKeyId, type), use);
    },
    withMacKey: (branchKeyId, name, use) =>
      withBeacon(branchKeyId, ({ key, owner, macKeys }) => {
        const macKey = macKeys.get(name) ?? macKeyOf(key, { ...owner, name });
        // Names may come from callers: they must not fill the memory.
        if (macKeys.size >= MAC_KEYS) macKeys.clear();
        macKeys.set(name, macKey);
        return use(macKey);
      }),
    find,
    async idFor(tenant, purpose) {
      const name = JSON.stringify([tenant, purpose]);
      const known = ids.get(name);
      if (known !== undefined) return known;
      const under = finding.get(name);
      if (under !== undefined) return under;
      const found = (async () => (await find(tenant, purpose)) ?? (await create(tenant, purpose)))();
      finding.set(name, found);
      try {
        const id = await found;
        if (ids.size >= maxEntries) ids.clear();
        ids.set(name, id);
        return id;
      } finally {
        finding.delete(name);
      }
    },
    prepareRotation,
    async rotate(branchKeyId) {
      await reaching((await prepareRotation(branchKeyId)).commit(query));
      await recheck(branchKeyId);
    },
    recheck,
    async warmUp(limit) {
      const newest = await reaching(selectNewest(query, Math.min(limit, maxEntries)));
      let loaded = 0;
      const next = async () => {
        for (let one = newest.pop(); one; one = newest.pop()) {
          const warmed = find(one.tenant, one.purpose).then((id) => id !== null && withBeacon(id, () => true));
          if (await warmed.catch(() => false)) loaded += 1;
        }
      };
      await Promise.all(Array.from({ length: WARMING_AT_ONCE }, next));
      return loaded;
    },
    check() {
      const at = now().getTime();
      if (checked === undefined || at - checked.at >= CHECK_KEPT_MS) checked = { at, result: rootKey.check() };
      return checked.result;
    },
    close() {
      cache.close();
      ids.clear();
    },
  };
}

async function unwrap(rootKey: RootKey, record: BranchKeyRecord): Promise<Buffer> {
  try {
    const key = await reaching(rootKey.unwrap(record.enc, { arn: record.kmsArn, context: wrapContext(record) }));
    return Buffer.from(key.buffer, key.byteOffset, key.byteLength);
  } catch (error) {
    throw error instanceof RootKeyRefused ? new BranchKeyUnknown() : error;
  }
}

const uuidToBytes = (uuid: string): Buffer => {
  const bytes = Buffer.from(uuid.replaceAll('-', ''), 'hex');
  if (bytes.length !== UUID_BYTES) throw new BranchKeyUnknown();
  return bytes;
};

const nameOf = (branchKeyId: string, type: string): string => `${branchKeyId} ${type}`;
