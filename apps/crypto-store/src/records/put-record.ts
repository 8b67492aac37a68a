import { createHash, randomUUID } from 'node:crypto';
import { keySeals, type Sealer } from '@postern/branch-keys';
import { namedKey } from '@postern/envelope';
import { type Content, type Idempotency } from '@postern/http';
import { queryIn } from '@postern/postgres';
import { problem, type Now } from '@postern/runtime';
import { type Kysely, type Transaction } from 'kysely';
import { type Schema } from '../db/schema.ts';
import { holdConditions, type Conditions } from './entity-tag.ts';
import { reaching } from './reaching.ts';
import { type RecordAddress } from './record-address.ts';
import { type RecordCache } from './record-cache.ts';
import { encodeContent, type Metadata } from './record-content.ts';
import { addressOf, contextOf, keyContextOf, prefixOf } from './record-context.ts';
import { prefixesOf } from './record-prefixes.ts';
import { rememberWrite, WrittenMeanwhile, writtenBefore } from './repeated-write.ts';
import { type SeenVersions } from './seen-versions.ts';
import { selectRecord, type HeldRecord } from './select-record.ts';

export type PutRecord = {
  db: Kysely<Schema>;
  cache: RecordCache;
  sealerOf: (tenant: string) => Sealer;
  seen: SeenVersions;
  /** Versions of a record that are kept, where the write does not say. */
  keepVersions: number;
  now: Now;
};

export type Write = Content & {
  metadata?: Metadata | undefined;
  expiresAt?: Date | undefined;
  /** How many versions are kept, from now on. */
  keepVersions?: number | undefined;
  /** Whether changes of the record must be conditional, from now on (428). */
  matchRequired?: boolean | undefined;
  conditions?: Conditions;
  idempotency?: Idempotency | null;
};

export type WrittenRecord = {
  id: string;
  version: number;
  /** Whether there was nothing to read before. */
  created: boolean;
  bytes: number;
  /** Older versions that went out. */
  pruned: number;
  /**
   * SHA-256 of the sealed message in hex: what `audit verify --records` compares rows with (R34). Null for a write that was
   * made before, under the same `Idempotency-Key`: what stands in the row by now is nothing to vouch for.
   */
  ciphertextHash: string | null;
};

/** Writers of one record who meet take turns; each turn one of them succeeds. */
const MAX_TURNS = 30;

/**
 * Writes a record's next version. `record` runs in the transaction, so that the write and what it records are one.
 * Sealing happens before the transaction: it may have to wait for a key, and no row or connection waits with it.
 * @returns what `record` returned, after the commit and after the cache holds the new version (or was left alone).
 * @throws Problem `keys_unavailable`; `precondition_failed`, `precondition_required`; `idempotency_key_reused`;
 *   `record_contended` when thirty others were faster.
 */
export async function putRecord<Result>(
  deps: PutRecord,
  at: RecordAddress,
  write: Write,
  record: (tx: Transaction<Schema>, written: WrittenRecord) => Promise<Result>,
): Promise<Result> {
  const { db, cache, seen } = deps;
  const sealer = deps.sealerOf(at.tenant);
  const address = await reaching(addressOf(sealer, at));
  const name = address.toString('base64url');
  for (let turn = 0; turn < MAX_TURNS; turn += 1) {
    const before = write.idempotency ? await writtenBefore(db, write.idempotency) : null;
    if (before !== null) return db.transaction().execute((tx) => record(tx, before));
    const saw = seen.before(name);
    const current = await selectRecord(db, at.tenant, address);
    saw(current);
    holdConditions(write.conditions ?? {}, current?.live ? current : null, current?.matchRequired);

    const next = await sealNext(deps, sealer, { at, address, write, current });
    const done = await unlessWrittenMeanwhile(
      db.transaction().execute(async (tx) => {
        const pruned = current === null ? await insertRecord(tx, next) : await insertVersion(tx, next, current);
        if (pruned === null) return null;
        const { id, version, ciphertextHash } = next;
        const written = { id, version, created: !current?.live, bytes: write.bytes.length, pruned, ciphertextHash };
        if (write.idempotency) await rememberWrite(tx, write.idempotency, written, deps.now());
        return { result: await record(tx, written) };
      }),
    );
    if (done === null) {
      // Another writer was faster, or the key was rotated behind our memory: both are looked up again.
      await reaching(sealer.recheck());
      continue;
    }
    seen.note(name, next);
    await cache.put(address, next);
    return done.result;
  }
  throw problem('record_contended', { retryAfterSeconds: 1 });
}

async function unlessWrittenMeanwhile<T>(done: Promise<T>): Promise<T | null> {
  try {
    return await done;
  } catch (error) {
    if (error instanceof WrittenMeanwhile) return null;
    throw error;
  }
}

type Next = {
  id: string;
  version: number;
  sealed: Buffer;
  ciphertextHash: string;
  bytes: number;
  at: RecordAddress;
  address: Buffer;
  /** Of a record that is new. */
  sealedKey: Buffer | null;
  prefixes: Buffer[];
  keepVersions: number;
  matchRequired: boolean;
  expiresAt: Date | null;
  now: Date;
};

async function sealNext(
  { now, keepVersions }: PutRecord,
  sealer: Sealer,
  { at, address, write, current }: { at: RecordAddress; address: Buffer; write: Write; current: HeldRecord | null },
): Promise<Next> {
  const { id, version } = current ? { id: current.id, version: current.version + 1 } : { id: randomUUID(), version: 1 };
  const writtenAt = now();
  const expiresAt = write.expiresAt ?? null;
  const { type, bytes, metadata = {} } = write;
  const plaintext = encodeContent({ type, bytes, metadata, writtenAt, expiresAt });
  const sealed = await reaching(sealer.seal(plaintext, contextOf({ id, version, address })));
  plaintext.fill(0);
  const isNew = current === null;
  return {
    id,
    version,
    sealed,
    ciphertextHash: createHash('sha256').update(sealed).digest('hex'),
    bytes: bytes.length,
    at,
    address,
    sealedKey: isNew ? await reaching(sealer.seal(Buffer.from(at.key), keyContextOf({ id, address }))) : null,
    prefixes: isNew
      ? await reaching(Promise.all(prefixesOf(at.key).map((prefix) => prefixOf(sealer, at.namespace, prefix))))
      : [],
    keepVersions: write.keepVersions ?? current?.keepVersions ?? keepVersions,
    matchRequired: write.matchRequired ?? current?.matchRequired ?? false,
    expiresAt,
    now: writtenAt,
  };
}

/** A new record with its first version; null when somebody else was faster, or its key no longer seals. */
async function insertRecord(tx: Transaction<Schema>, next: Next): Promise<number | null> {
  const { at, address, sealedKey, prefixes } = next;
  const { version: keyVersion } = namedKey(next.sealed);
  // Its key and its first version under one key version: the statement holds one.
  if (sealedKey === null || namedKey(sealedKey).version !== keyVersion) return null;
  const rows = await queryIn(tx)(
    `with created as (
       insert into records (id, tenant, namespace, address, sealed_key, version, live_until, keep_versions, match_required,
                            created_at, updated_at)
       select $1::uuid, $2, $3, $4::bytea, $5::bytea, 1, coalesce($6::timestamptz, 'infinity'), $7::int, $8::boolean,
              $9::timestamptz, $9::timestamptz
         from (select $13::uuid as key_version) named where ${keySeals('named.key_version')}
       on conflict (tenant, address) do nothing returning id
     ), versioned as (
       insert into record_versions (record_id, version, sealed, bytes, created_at, expires_at)
       select id, 1, $10::bytea, $11::int, $9, $6::timestamptz from created
     ), prefixed as (
       insert into record_prefixes (tenant, prefix, record_id)
       select $2, prefix, id from created, unnest($12::bytea[]) as prefix
     )
     select from created`,
    [
      next.id,
      at.tenant,
      at.namespace,
      address,
      sealedKey,
      next.expiresAt,
      next.keepVersions,
      next.matchRequired,
      next.now,
      next.sealed,
      next.bytes,
      prefixes,
      keyVersion,
    ],
  );
  return rows.length === 1 ? 0 : null;
}

/**
 * The version after `current`, exactly while that is still what it was when its conditions were looked at.
 * @returns how many older versions went out; null when somebody else was faster, or the key no longer seals.
 */
async function insertVersion(tx: Transaction<Schema>, next: Next, current: HeldRecord): Promise<number | null> {
  const [row] = await queryIn(tx)<{ pruned: number }>(
    `with written as (
       update records set version = $2, live_until = coalesce($3::timestamptz, 'infinity'), keep_versions = $4,
              match_required = $5, updated_at = $6
         from (select $10::uuid as key_version) named
        where id = $1 and version = $2 - 1 and (live_until > now()) = $7 and ${keySeals('named.key_version')}
       returning id
     ), versioned as (
       insert into record_versions (record_id, version, sealed, bytes, created_at, expires_at)
       select id, $2, $8::bytea, $9::int, $6, $3::timestamptz from written
     ), pruned as (
       delete from record_versions v using written w where v.record_id = w.id and v.version <= $2 - $4 returning v.version
     )
     select (select count(*)::int from pruned) as pruned from written`,
    [
      current.id,
      next.version,
      next.expiresAt,
      next.keepVersions,
      next.matchRequired,
      next.now,
      current.live,
      next.sealed,
      next.bytes,
      namedKey(next.sealed).version,
    ],
  );
  return row?.pruned ?? null;
}
