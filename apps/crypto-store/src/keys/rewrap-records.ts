import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { describeKeys, keySeals, type DescribedKey, type Sealer } from '@postern/branch-keys';
import { type Audit } from '@postern/outbox';
import { newEvent } from '@postern/audit';
import { jobKind, type JobWork } from '@postern/bus';
import { EnvelopeRefused, namedKey } from '@postern/envelope';
import { type TlsMaterial } from '@postern/mtls';
import { queryIn, type Query } from '@postern/postgres';
import { problem, type Now } from '@postern/runtime';
import { type Kysely } from 'kysely';
import { z } from 'zod';
import { type Schema } from '../db/schema.ts';
import { contextOf, keyContextOf, RECORDS } from '../records/record-context.ts';
import { certify, countUse, settleVersions } from './certificate.ts';

/** Name of the job in `/v1/jobs`. */
export const REWRAP = 'records.rewrap';

const input = z.strictObject({
  /** Messages a second at most, so that callers do not feel it. */
  perSecond: z.int().min(1).max(10_000),
});

export type RewrapRecords = {
  db: Kysely<Schema>;
  audit: Pick<Audit, 'within'>;
  sealerOf: (tenant: string) => Sealer;
  tls: TlsMaterial;
  service: string;
  now: Now;
};

const PAGE = 20;

const checkpoint = z.object({
  part: z.enum(['key', 'version']),
  after: z.tuple([z.guid(), z.number()]),
  rewrapped: z.number(),
  unreadable: z.number(),
});
type Reached = z.output<typeof checkpoint>;
const START: Reached['after'] = ['00000000-0000-0000-0000-000000000000', 0];
const BEGINNING: Reached = { part: 'key', after: START, rewrapped: 0, unreadable: 0 };

/**
 * Seals every record of the tenant anew that stands under an older version of its key (R31): body and key of the record,
 * each with a fresh data key and message id. Nothing of a message is carried over but its plaintext, its place and its
 * version; a row changes only where version, key version and ciphertext are what was read, and the new key version is the one to
 * seal under: where the key was rotated meanwhile, the page is done again. Goes on from its last page after
 * a crash. Ends in a certificate of what each older version still protects.
 */
export const rewrapRecords = (deps: RewrapRecords) =>
  jobKind<Schema, z.output<typeof input>>({
    version: 1,
    input,
    async run(work) {
      const tenant = work.tenant ?? '';
      const query = queryIn(deps.db);
      const total = await countOld(query, await keyOf(query, tenant));
      let reached = work.checkpoint === null ? BEGINNING : checkpoint.parse(work.checkpoint);
      for (;;) {
        const began = performance.now();
        const page = await selectPage(query, await keyOf(query, tenant), reached);
        if (page.length === 0) {
          if (reached.part === 'version') break;
          reached = { ...reached, part: 'version', after: START };
          continue;
        }
        reached = await rewrapPage(deps, work, tenant, { page, reached, total });
        const dueMs = (page.length / work.input.perSecond) * 1_000 - (performance.now() - began);
        if (dueMs > 0) await pause(dueMs, undefined, { signal: work.signal }).catch(() => {});
      }
      await settleVersions(query, work.signal);
      return endWithCertificate(deps, work, tenant, reached);
    },
  });

/** The kind as the route that starts it needs it. */
export const rewrapInput = { version: 1, input };

/** @throws Problem `key_not_found` */
async function keyOf(query: Query, tenant: string): Promise<DescribedKey> {
  const [key] = await describeKeys(query, tenant, RECORDS);
  if (key === undefined) throw problem('key_not_found');
  return key;
}

const oldVersions = ({ versions }: DescribedKey): string[] =>
  versions.filter(({ state }) => state !== 'active').map(({ version }) => version);

async function countOld(query: Query, key: DescribedKey): Promise<number> {
  return (await countUse(query, key)).reduce((sum, { messages }) => sum + messages, 0);
}

/** Version 0 is the record's own sealed key. */
type Message = {
  id: string;
  version: number;
  address: Buffer;
  sealed: Buffer;
};

/**
 * The messages after the last page in the order of the tables' own keys, so that however many there are, each row is met
 * once: first the records' keys, then their versions.
 */
async function selectPage(query: Query, key: DescribedKey, { part, after }: Reached): Promise<Message[]> {
  const [id, version] = after;
  const old = oldVersions(key);
  if (part === 'key') {
    return query<Message>(
      `select r.id, 0 as version, r.address, r.sealed_key as sealed
         from records r where r.key_version = any($1::uuid[]) and r.id > $2::uuid order by r.id limit ${PAGE}`,
      [old, id],
    );
  }
  const rows = await query<Omit<Message, 'version'> & { version: string }>(
    `select r.id, v.version, r.address, v.sealed
       from record_versions v join records r on r.id = v.record_id
      where v.key_version = any($1::uuid[]) and (v.record_id, v.version) > ($2::uuid, $3::bigint)
      order by v.record_id, v.version limit ${PAGE}`,
    [old, id, version],
  );
  return rows.map((row) => ({ ...row, version: Number(row.version) }));
}

async function rewrapPage(
  { audit, sealerOf, service, now }: RewrapRecords,
  work: JobWork<Schema, unknown>,
  tenant: string,
  { page, reached, total }: { page: Message[]; reached: Reached; total: number },
): Promise<Reached> {
  const sealer = sealerOf(tenant);
  await sealer.recheck();
  const resealed = await Promise.all(page.map((message) => reseal(sealer, message)));
  let next = reached;
  await work.step(async (tx) => {
    const query = queryIn(tx);
    const last = page.at(-1);
    if (!(await allSeal(query, resealed))) return { done: doneOf(reached), total, checkpoint: reached };
    next = { ...reached, after: last ? [last.id, last.version] : reached.after };
    for (const [at, message] of page.entries()) {
      const sealed = resealed[at] ?? null;
      if (sealed === null) next.unreadable += 1;
      else if (await replace(query, message, sealed)) {
        next.rewrapped += 1;
        const details = {
          part: message.version === 0 ? 'key' : 'version',
          ciphertextHash: sha256(sealed).toString('hex'),
          keyVersion: namedKey(sealed).version,
        };
        const { id, version } = message;
        const resource = { type: 'record', id, ...(version === 0 ? {} : { version }) };
        const actor = { workload: service };
        const draft = { action: 'record.rewrapped', outcome: 'success', tenant, actor, resource, details } as const;
        await audit.within(tx, newEvent(draft, now()));
      }
    }
    return { done: doneOf(next), total: Math.max(total, doneOf(next)), checkpoint: next };
  });
  return next;
}

const doneOf = ({ rewrapped, unreadable }: Reached): number => rewrapped + unreadable;

/** Whether all these messages are under versions that nothing has replaced. */
async function allSeal(query: Query, messages: readonly (Buffer | null)[]): Promise<boolean> {
  const versions = new Set(messages.flatMap((message) => (message === null ? [] : [namedKey(message).version])));
  const replaced = await query(
    `select 1 from unnest($1::uuid[]) as named (version) where not ${keySeals('named.version')}`,
    [[...versions]],
  );
  return replaced.length === 0;
}

const contextFor = ({ id, version, address }: Message) =>
  version === 0 ? keyContextOf({ id, address }) : contextOf({ id, version, address });

/** Null for what cannot be opened: it stays as it is, and its version is not certified. */
async function reseal(sealer: Sealer, message: Message): Promise<Buffer | null> {
  let plaintext: Buffer;
  try {
    plaintext = await sealer.open(message.sealed, contextFor(message));
  } catch (error) {
    if (error instanceof EnvelopeRefused) return null;
    throw error;
  }
  try {
    return await sealer.seal(plaintext, contextFor(message));
  } finally {
    plaintext.fill(0);
  }
}

async function replace(query: Query, { id, version, sealed: was }: Message, sealed: Buffer): Promise<boolean> {
  const { version: keyVersion } = namedKey(was);
  const { version: newVersion } = namedKey(sealed);
  const rows =
    version === 0
      ? await query(
          `update records set sealed_key = $2
            where id = $1 and key_version = $3 and sha256(sealed_key) = $4 and ${keySeals('$5::uuid')} returning 1`,
          [id, sealed, keyVersion, sha256(was), newVersion],
        )
      : await query(
          `update record_versions set sealed = $3
            where record_id = $1 and version = $2 and key_version = $4 and sha256(sealed) = $5 and ${keySeals('$6::uuid')}
           returning 1`,
          [id, version, sealed, keyVersion, sha256(was), newVersion],
        );
  return rows.length === 1;
}

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

async function endWithCertificate(
  { audit, tls, service, now }: RewrapRecords,
  work: JobWork<Schema, unknown>,
  tenant: string,
  reached: Reached,
) {
  const { rewrapped, unreadable } = reached;
  let result: Record<string, unknown> = {};
  await work.step(async (tx) => {
    const query = queryIn(tx);
    const key = await keyOf(query, tenant);
    const use = await countUse(query, key);
    const { certificate, hash, unused } = await certify(query, { key, use, tls, service, now: now() });
    const versions = unused.map(({ version }) => version);
    const details = { purpose: key.purpose, keyId: key.branchKeyId, versions, certificateHash: hash };
    const draft = {
      action: 'key.certified',
      outcome: 'success',
      tenant,
      actor: { workload: service },
      details,
    } as const;
    await audit.within(tx, newEvent(draft, now()));
    result = { rewrapped, unreadable, unused: unused.map(({ number }) => number), certificate };
    return { done: rewrapped + unreadable, total: rewrapped + unreadable, checkpoint: reached };
  });
  return result;
}
