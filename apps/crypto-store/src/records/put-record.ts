import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { type Sealer } from '@postern/branch-keys';
import { namedKey } from '@postern/envelope';
import { type Content, type Idempotency, type MakeChange } from '@postern/http';
import { type Audit, type Changes } from '@postern/outbox';
import { queryIn } from '@postern/postgres';
import { problem, type Now } from '@postern/runtime';
import { holdConditions, type Conditions } from './entity-tag.ts';
import { reaching } from './reaching.ts';
import { type RecordAddress } from './record-address.ts';
import { type RecordCache } from './record-cache.ts';
import { encodeContent, type Metadata } from './record-content.ts';
import { addressOf, contextOf, keyContextOf, prefixOf } from './record-context.ts';
import { holdRecordQuota, type RecordQuota } from './record-quota.ts';
import { prefixesOf } from './record-prefixes.ts';
import { writtenBefore } from './repeated-write.ts';
import { type SeenVersions } from './seen-versions.ts';
import { type HeldRecord, type Sought } from './select-record.ts';
import { type NextVersion } from './write-versions.ts';
import { type WrittenRecord } from './written-record.ts';

/** Of Postgres: <https://www.postgresql.org/docs/18/errcodes-appendix.html>. */
const UNIQUE_VIOLATION = '23505';

export type PutRecord = RecordQuota & {
  cache: RecordCache;
  sealerOf: (tenant: string) => Sealer;
  seen: SeenVersions;
  /** Looks records up, together with those that others want at this moment. */
  findHeld: (sought: Sought) => Promise<HeldRecord | null>;
  /** Writes a version with its event, together with others under way. */
  writeVersion: Changes<NextVersion>;
  /** Records what was written before. */
  commit: Audit['commit'];
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
  /** How many records the tenant may have; absent: there is no quota. */
  mostRecords?: number | undefined;
  idempotency?: Idempotency | null;
};

/** Writers of one record who meet take turns; each turn one of them succeeds. */
const MAX_TURNS = 30;
/** From the second turn on they come at different moments. */
const PAUSE_MS = 4;

/**
 * Writes a record's next version. `record` commits what was written and what it records of it by `make`, and gives null where
 * that made nothing: then it is another turn.
 * @returns what `record` returned, after the commit and after the cache holds the new version (or was left alone).
 * @throws Problem `keys_unavailable`; `precondition_failed`, `precondition_required`; `idempotency_key_reused`; `quota_exceeded`;
 *   `record_contended` when thirty others were faster.
 */
export async function putRecord<Result>(
  deps: PutRecord,
  at: RecordAddress,
  write: Write,
  record: (make: MakeChange, written: WrittenRecord) => Promise<Result | null>,
): Promise<Result> {
  const { cache, seen, findHeld, writeVersion } = deps;
  const sealer = deps.sealerOf(at.tenant);
  const address = await reaching(addressOf(sealer, at));
  const name = address.toString('base64url');
  for (let turn = 0; turn < MAX_TURNS; turn += 1) {
    const before = write.idempotency ? await writtenBefore(queryIn(deps.db), address, write.idempotency) : null;
    // It changes nothing: its event is all there is to commit, and no guard can refuse that.
    if (before !== null) return (await record((event) => deps.commit(event), before))!;
    const saw = seen.before(name);
    const current = await findHeld({ tenant: at.tenant, address });
    saw(current);
    holdConditions(write.conditions ?? {}, current?.live ? current : null, current?.matchRequired);
    if (current === null && write.mostRecords !== undefined) await holdRecordQuota(deps, at.tenant, write.mostRecords);

    const next = await sealNext(deps, sealer, { at, address, write, current });
    const done = next && (await unlessTaken(record((event) => writeVersion(next, event), writtenOf(next, current))));
    if (!next || done === null) {
      // Another writer was faster, or the key was rotated behind our memory: both are looked up again.
      await reaching(sealer.recheck());
      if (turn > 0) await pause(Math.random() * turn * PAUSE_MS);
      continue;
    }
    seen.note(name, next);
    await cache.put(address, next);
    return done;
  }
  throw problem('record_contended', { retryAfterSeconds: 1 });
}

function writtenOf({ id, version, bytes, keepVersions, ciphertextHash }: NextVersion, current: HeldRecord | null) {
  // Its statement takes them out, while the record is what it was when `oldest` was read.
  const pruned = current === null ? 0 : Math.max(0, version - keepVersions - current.oldest + 1);
  return { id, version, created: !current?.live, bytes, pruned, ciphertextHash };
}

/** Null when its record or its `Idempotency-Key` was taken by another write at the same instant. */
async function unlessTaken<T>(done: Promise<T | null>): Promise<T | null> {
  try {
    return await done;
  } catch (error) {
    if ((error as { code?: unknown }).code === UNIQUE_VIOLATION) return null;
    throw error;
  }
}

/** Seals it; null where the key was rotated between the two messages of a new record, whose statement holds one. */
async function sealNext(
  { now, keepVersions }: PutRecord,
  sealer: Sealer,
  { at, address, write, current }: { at: RecordAddress; address: Buffer; write: Write; current: HeldRecord | null },
): Promise<NextVersion | null> {
  const { id, version } = current ? { id: current.id, version: current.version + 1 } : { id: randomUUID(), version: 1 };
  const writtenAt = now();
  const expiresAt = write.expiresAt ?? null;
  const { type, bytes, metadata = {} } = write;
  const plaintext = encodeContent({ type, bytes, metadata, writtenAt, expiresAt });
  const sealed = await reaching(sealer.seal(plaintext, contextOf({ id, version, address })));
  plaintext.fill(0);
  const { version: keyVersion } = namedKey(sealed);
  const created = current === null ? await sealNew(sealer, { id, at, address }, write.mostRecords ?? null) : null;
  if (created !== null && namedKey(created.sealedKey).version !== keyVersion) return null;
  return {
    id,
    version,
    live: current?.live ?? false,
    sealed,
    ciphertextHash: createHash('sha256').update(sealed).digest('hex'),
    keyVersion,
    bytes: bytes.length,
    keepVersions: write.keepVersions ?? current?.keepVersions ?? keepVersions,
    matchRequired: write.matchRequired ?? current?.matchRequired ?? false,
    expiresAt,
    writtenAt,
    created,
    idempotency: write.idempotency ?? null,
  };
}

async function sealNew(
  sealer: Sealer,
  { id, at, address }: { id: string; at: RecordAddress; address: Buffer },
  most: number | null,
) {
  const sealedKey = await reaching(sealer.seal(Buffer.from(at.key), keyContextOf({ id, address })));
  const prefixes = await reaching(
    Promise.all(prefixesOf(at.key).map((prefix) => prefixOf(sealer, at.namespace, prefix))),
  );
  return { at, address, sealedKey, prefixes, most };
}
