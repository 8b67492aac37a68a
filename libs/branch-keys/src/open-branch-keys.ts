import { randomUUID, type KeyObject } from 'node:crypto';
import { BranchKeyUnknown, type BranchKey, type BranchKeySource } from '@postern/envelope';
import { systemNow, type Now } from '@postern/runtime';
import { createKeyRecords, createVersionRecords } from './create-records.ts';
import { KeysUnavailable, RootKeyRefused } from './errors.ts';
import { createKeyCache } from './key-cache.ts';
import { macKeyOf } from './mac-key.ts';
import { ACTIVE, BEACON, versionOf, versionType, wrapContext, type BranchKeyRecord, type Owner } from './record.ts';
import { type RootKey } from './root-key.ts';
import { insertKey, insertVersion, selectId, selectRecord, type Query } from './table.ts';

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
  /** Seals from now on use a new version (other replicas follow when their cache expires); old messages still open. */
  rotate(branchKeyId: string): Promise<void>;
  /** Rejects when the root key cannot be used. */
  check(): Promise<void>;
  close(): void;
};

type CachedKey = BranchKey & { key: Buffer; owner: Owner; macKeys: Map<string, KeyObject> };
const UUID_BYTES = 16;

/** Opens a service's branch keys. The root key is closed by who opened it. */
export async function openBranchKeys(options: BranchKeysOptions): Promise<BranchKeys> {
  const { query, rootKey, environment, service, now = systemNow } = options;
  const { cacheTtlMs: ttlMs = 300_000, cacheEntries: maxEntries = 1_000 } = options;
  const cache = createKeyCache<CachedKey>({ ttlMs, maxEntries, now });
  const ids = new Map<string, string>();
  const finding = new Map<string, Promise<string>>();

  const load = (branchKeyId: string, type: string) => async (): Promise<CachedKey> => {
    const record = await reaching(selectRecord(query, branchKeyId, type));
    if (record === null) throw new BranchKeyUnknown();
    const { owner } = record;
    if (owner.service !== service || owner.environment !== environment) throw new BranchKeyUnknown();
    const key = await unwrap(rootKey, record);
    const version = type === BEACON ? Buffer.alloc(0) : uuidToBytes(versionOf(record));
    return { id: branchKeyId, version, key, owner, macKeys: new Map() };
  };
  const lendActive = <T>(branchKeyId: string, use: (key: CachedKey) => T): Promise<T> =>
    cache.lend(branchKeyId, load(branchKeyId, ACTIVE), use);

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
    const records = await reaching(createKeyRecords({ rootKey, branchKeyId, owner, now: now() }));
    if (await reaching(insertKey(query, records))) return branchKeyId;
    const first = await find(tenant, purpose);
    if (first === null) throw new BranchKeyUnknown();
    return first;
  };

  return {
    withActive: lendActive,
    withVersion: async (branchKeyId, version, use) => {
      if (version.length !== UUID_BYTES) throw new BranchKeyUnknown();
      const type = versionType(bytesToUuid(version));
      return cache.lend(`${branchKeyId} ${type}`, load(branchKeyId, type), use);
    },
    withMacKey: (branchKeyId, name, use) =>
      cache.lend(`${branchKeyId} ${BEACON}`, load(branchKeyId, BEACON), ({ key, owner, macKeys }) => {
        const macKey = macKeys.get(name) ?? macKeyOf(key, { ...owner, name });
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
    async rotate(branchKeyId) {
      const current = await reaching(selectRecord(query, branchKeyId, ACTIVE));
      if (current === null) throw new BranchKeyUnknown();
      const made = { rootKey, branchKeyId, owner: current.owner, now: now() };
      const { version, active } = await reaching(createVersionRecords(made));
      await reaching(insertVersion(query, version, active, current.version));
      cache.drop(branchKeyId);
    },
    check: () => rootKey.check(),
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

/** What is neither an answer nor a refusal means that Postgres or the root key could not be reached. */
async function reaching<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    const answered =
      error instanceof RootKeyRefused || error instanceof BranchKeyUnknown || error instanceof KeysUnavailable;
    throw answered ? error : new KeysUnavailable(error);
  }
}

const uuidToBytes = (uuid: string): Buffer => {
  const bytes = Buffer.from(uuid.replaceAll('-', ''), 'hex');
  if (bytes.length !== UUID_BYTES) throw new BranchKeyUnknown();
  return bytes;
};

const bytesToUuid = (bytes: Uint8Array): string =>
  Buffer.from(bytes)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
