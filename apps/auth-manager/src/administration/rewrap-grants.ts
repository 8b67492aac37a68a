import { setTimeout as pause } from 'node:timers/promises';
import { newEvent } from '@postern/audit';
import { awaitOlderTransactions, describeKeys } from '@postern/branch-keys';
import { jobKind, type JobWork } from '@postern/bus';
import { EnvelopeRefused } from '@postern/envelope';
import type { Audit } from '@postern/outbox';
import { queryIn } from '@postern/postgres';
import type { Now } from '@postern/runtime';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import { openText, sealText, type Vault } from '../grants/vault.ts';
import {
  countOldMessages,
  FIRST_ROW,
  oldMessages,
  putInPlace,
  SEALED_PLACES,
  type SealedPlace,
  type SealedRow,
} from './sealed-places.ts';

/** Name of the job in `/v1/jobs`, and the purpose of the key. */
export const REWRAP_GRANTS = 'grants.rewrap';
export const GRANTS_PURPOSE = 'grants';

const input = z.strictObject({ perSecond: z.int().min(1).max(10_000) });
/** Only what stands under an older version is looked at: a job that goes on begins at the first place again. */
const checkpoint = z.object({ rewrapped: z.int() });

export type RewrapGrants = {
  db: Kysely<Schema>;
  vault: Vault;
  audit: Pick<Audit, 'within'>;
  service: string;
  now: Now;
};

/** A replica that had sealed under the version before it was replaced has written it within this. */
const WRITTEN_WITHIN_MS = 2_000;
const MOST_ROUNDS = 10;

/**
 * Seals everything anew that the service keeps under an older version of the tenant's key (R31): tokens of grants,
 * journalled replies, flows of consents under way, the provider's own tokens. A fresh data key and message each, nothing
 * carried over but the text and its place. A row changes only where its sealed bytes are what was read, so that a refresh
 * meanwhile wins. Goes round until a round finds nothing that others sealed meanwhile, so that after it no row names an
 * older version but those that could not be opened, which it counts.
 */
export const rewrapGrants = (deps: RewrapGrants) =>
  jobKind<Schema, z.output<typeof input>>({
    version: 1,
    input,
    async run(work) {
      let { rewrapped } = work.checkpoint ? checkpoint.parse(work.checkpoint) : { rewrapped: 0 };
      for (let round = 0; ; round++) {
        const found = await rewrapRound(deps, work, rewrapped);
        const quiet = round > 0 && found.rewrapped === rewrapped;
        if (quiet || round === MOST_ROUNDS) return { rewrapped: found.rewrapped, unreadable: found.unreadable };
        rewrapped = found.rewrapped;
        await pause(WRITTEN_WITHIN_MS, undefined, { signal: work.signal }).catch(() => {});
        await awaitOlderTransactions(queryIn(deps.db), work.signal);
      }
    },
  });

/** The kind as the route that starts it needs it. */
export const rewrapGrantsInput = { version: 1, input };

type Work = JobWork<Schema, z.output<typeof input>>;

/** `total`: as many as there were to begin with; others may seal under the older version meanwhile. */
type Found = { rewrapped: number; unreadable: number; total: number };

/** Once through all places. @returns how many messages were sealed anew, with those before, and how many could not be opened. */
async function rewrapRound(deps: RewrapGrants, work: Work, before: number): Promise<Found> {
  const tenant = work.tenant ?? '';
  const version = await activeVersion(deps.db, tenant);
  const old = version === null ? 0 : await countOldMessages(queryIn(deps.db), { tenant, active: version });
  const found: Found = { rewrapped: before, unreadable: 0, total: before + old };
  for (const place of SEALED_PLACES) {
    for (let after = FIRST_ROW; ;) {
      const began = performance.now();
      const active = await activeVersion(deps.db, tenant);
      if (active === null) return found;
      const rows = await oldMessages(queryIn(deps.db), place, { tenant, active, after });
      const last = rows.at(-1);
      if (!last) break;
      await rewrapPage(deps, work, { tenant, active, place, rows, found });
      after = last.row;
      const dueMs = (rows.length / work.input.perSecond) * 1_000 - (performance.now() - began);
      if (dueMs > 0) await pause(dueMs, undefined, { signal: work.signal }).catch(() => {});
    }
  }
  return found;
}

async function rewrapPage(
  { vault, audit, service, now }: RewrapGrants,
  work: Work,
  page: { tenant: string; active: string; place: SealedPlace; rows: SealedRow[]; found: Found },
): Promise<void> {
  const { tenant, active, place, rows, found } = page;
  const resealed = await Promise.all(rows.map((row) => reseal(vault, tenant, place, row)));
  found.unreadable += resealed.filter((sealed) => sealed === null).length;
  await work.step(async (tx) => {
    let count = 0;
    for (const [at, row] of rows.entries()) {
      const sealed = resealed[at];
      if (sealed && (await putInPlace(queryIn(tx), place, row, sealed))) count += 1;
    }
    found.rewrapped += count;
    if (count > 0) {
      const details = { purpose: GRANTS_PURPOSE, count, to: active };
      const draft = { action: 'keys.rewrapped', outcome: 'success', tenant, actor: { workload: service } } as const;
      await audit.within(tx, newEvent({ ...draft, details }, now()));
    }
    const done = found.rewrapped + found.unreadable;
    return { done, total: Math.max(found.total, done), checkpoint: { rewrapped: found.rewrapped } };
  });
}

async function activeVersion(db: Kysely<Schema>, tenant: string): Promise<string | null> {
  const [key] = await describeKeys(queryIn(db), tenant, GRANTS_PURPOSE);
  return key?.versions.find(({ state }) => state === 'active')?.version ?? null;
}

/** Null for what cannot be opened: it stays as it is. */
async function reseal(
  vault: Vault,
  tenant: string,
  { what }: SealedPlace,
  { id, sealed }: SealedRow,
): Promise<Buffer | null> {
  const at = { tenant, what, id };
  try {
    return await sealText(vault, at, await openText(vault, at, sealed));
  } catch (error) {
    if (error instanceof EnvelopeRefused) return null;
    throw error;
  }
}
