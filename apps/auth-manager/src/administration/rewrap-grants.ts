import { setTimeout as pause } from 'node:timers/promises';
import { newEvent } from '@postern/audit';
import { describeKeys } from '@postern/branch-keys';
import { jobKind } from '@postern/bus';
import { EnvelopeRefused, namedKey } from '@postern/envelope';
import type { Audit } from '@postern/outbox';
import { queryIn } from '@postern/postgres';
import { type Now, Secret } from '@postern/runtime';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import { openText, sealText, type Vault } from '../grants/vault.ts';

/** Name of the job in `/v1/jobs`, and the purpose of the key. */
export const REWRAP_GRANTS = 'grants.rewrap';
export const GRANTS_PURPOSE = 'grants';

const input = z.strictObject({ perSecond: z.int().min(1).max(10_000) });
const checkpoint = z.object({ after: z.uuid(), looked: z.int(), rewrapped: z.int(), unreadable: z.int() });
type Reached = z.output<typeof checkpoint>;

export type RewrapGrants = {
  db: Kysely<Schema>;
  vault: Vault;
  audit: Pick<Audit, 'within'>;
  service: string;
  now: Now;
};

const PAGE = 50;
const BEGINNING: Reached = {
  after: '00000000-0000-0000-0000-000000000000',
  looked: 0,
  rewrapped: 0,
  unreadable: 0,
};

/**
 * Seals every token of the tenant's grants anew that stands under an older version of its key (R31): a fresh data key and
 * message, nothing carried over but the token and its place. A row changes only where its sealed bytes are what was read,
 * so that a refresh meanwhile wins. What a flow or a refresh under way has sealed lives for minutes and is left.
 */
export const rewrapGrants = (deps: RewrapGrants) =>
  jobKind<Schema, z.output<typeof input>>({
    version: 1,
    input,
    async run(work) {
      const { db, vault } = deps;
      const tenant = work.tenant ?? '';
      const active = await activeVersion(db, tenant);
      if (active === null) return { rewrapped: 0, unreadable: 0 };
      await vault.grantsOf(tenant).recheck();
      const total = await countSealed(db, tenant);
      let reached = work.checkpoint ? checkpoint.parse(work.checkpoint) : BEGINNING;
      for (;;) {
        const began = performance.now();
        const rows = await db
          .selectFrom('grants')
          .select(['id', 'sealed_token'])
          .where('tenant', '=', tenant)
          .where('sealed_token', 'is not', null)
          .where('id', '>', reached.after)
          .orderBy('id')
          .limit(PAGE)
          .execute();
        const last = rows.at(-1);
        if (!last) break;
        const old = rows.filter(({ sealed_token }) => sealed_token && namedKey(sealed_token).version !== active);
        const resealed = await Promise.all(old.map(({ id, sealed_token }) => reseal(vault, tenant, id, sealed_token)));
        await work.step(async (tx) => {
          const next = { ...reached, after: last.id, looked: reached.looked + rows.length };
          let count = 0;
          for (const [at, { id, sealed_token: was }] of old.entries()) {
            const sealed = resealed[at];
            if (!sealed) next.unreadable += 1;
            else {
              const { numUpdatedRows } = await tx
                .updateTable('grants')
                .set({ sealed_token: sealed })
                .where('id', '=', id)
                .where('sealed_token', '=', was)
                .executeTakeFirst();
              count += Number(numUpdatedRows);
            }
          }
          next.rewrapped += count;
          if (count > 0) {
            const draft = {
              action: 'keys.rewrapped' as const,
              outcome: 'success' as const,
              tenant,
              actor: { workload: deps.service },
              details: { purpose: GRANTS_PURPOSE, count, to: active },
            };
            await deps.audit.within(tx, newEvent(draft, deps.now()));
          }
          reached = next;
          return { done: next.looked, total: Math.max(total, next.looked), checkpoint: next };
        });
        const dueMs = (rows.length / work.input.perSecond) * 1_000 - (performance.now() - began);
        if (dueMs > 0) await pause(dueMs, undefined, { signal: work.signal }).catch(() => {});
      }
      return { rewrapped: reached.rewrapped, unreadable: reached.unreadable };
    },
  });

/** The kind as the route that starts it needs it. */
export const rewrapGrantsInput = { version: 1, input };

async function activeVersion(db: Kysely<Schema>, tenant: string): Promise<string | null> {
  const [key] = await describeKeys(queryIn(db), tenant, GRANTS_PURPOSE);
  return key?.versions.find(({ state }) => state === 'active')?.version ?? null;
}

async function countSealed(db: Kysely<Schema>, tenant: string): Promise<number> {
  const { count } = await db
    .selectFrom('grants')
    .select((row) => row.fn.countAll<string>().as('count'))
    .where('tenant', '=', tenant)
    .where('sealed_token', 'is not', null)
    .executeTakeFirstOrThrow();
  return Number(count);
}

/** Null for what cannot be opened: it stays as it is. */
async function reseal(vault: Vault, tenant: string, id: string, sealed: Uint8Array | null): Promise<Buffer | null> {
  if (!sealed) return null;
  const at = { tenant, what: 'token' as const, id };
  try {
    return await sealText(vault, at, new Secret((await openText(vault, at, sealed)).reveal()));
  } catch (error) {
    if (error instanceof EnvelopeRefused) return null;
    throw error;
  }
}
