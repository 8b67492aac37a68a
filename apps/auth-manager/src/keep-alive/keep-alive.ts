import { type Kysely, sql } from 'kysely';
import { type Logger, type Now, Problem } from '@postern/runtime';
import type { Schema } from '../db/schema.ts';
import type { Refreshing } from '../refresh/confirm-grant.ts';
import type { KeepAliveMetrics } from './keep-alive-metrics.ts';
import { slotOf } from './next-due.ts';
import { openLine, type ProviderLine } from './provider-line.ts';

export type KeepAlive = {
  db: Kysely<Schema>;
  keep: Refreshing['keep'];
  metrics?: KeepAliveMetrics;
  logger: Logger;
  now: Now;
};

/** Under way at once at one provider: those who use a grant have a turn left beside them. */
const AT_ONCE = 3;

/** A grant whose turn failed comes again after 1, 2, 4, ... minutes, at most an hour. */
const FIRST_RETRY_SECONDS = 60;
const LONGEST_RETRY_SECONDS = 3_600;

/** A pause is of one tenant's grants at one provider. */
const unpaused = sql<boolean>`not exists (
  select 1 from tenant_pauses p where p.tenant = grants.tenant and p.provider = grants.provider)`;

type DueGrant = { id: string; provider: string; tries: number };

/** A tenant's grants at a provider that are due, and the line that they go through. */
type Queue = { line: ProviderLine; grants: DueGrant[] };

/**
 * Keeps grants alive that nobody uses: each is refreshed when its slot has come, within the budget of its tenant at the provider.
 * A provider that fails a tenant, or says when to come again, is left alone by that tenant's for that time, and only by them.
 * @returns a round: how many grants were refreshed in it.
 */
export function openKeepAlive(deps: KeepAlive): () => Promise<number> {
  const lines = new Map<string, ProviderLine>();

  function lineOf(at: { tenant: string; provider: string }): ProviderLine {
    const name = `${at.tenant}\n${at.provider}`;
    const line = lines.get(name) ?? openLine(at.provider, deps);
    lines.set(name, line);
    return line;
  }

  return async () => {
    const due = Map.groupBy(await duePlaces(deps), ({ provider }) => provider);
    const kept = await Promise.all(
      [...due.values()].map(async (places) => {
        const queues: Queue[] = [];
        for (const at of places) {
          const line = lineOf(at);
          queues.push({ line, grants: await dueGrants(deps, at, line.allowance()) });
        }
        return keepAt(deps, queues);
      }),
    );
    return kept.reduce((sum, one) => sum + one, 0);
  };
}

/** Tenants at providers with grants that are due. */
const duePlaces = ({ db, now }: KeepAlive): Promise<{ tenant: string; provider: string }[]> =>
  db
    .selectFrom('grants')
    .select(['tenant', 'provider'])
    .distinct()
    .where('state', '=', 'active')
    .where('due_at', '<=', now())
    .where(unpaused)
    .execute();

const dueGrants = (
  { db, now }: KeepAlive,
  { tenant, provider }: { tenant: string; provider: string },
  limit: number,
): Promise<DueGrant[]> =>
  db
    .selectFrom('grants')
    .select(['id', 'provider', 'tries'])
    .where((row) => row.and({ tenant, provider, state: 'active' as const }))
    .where('due_at', '<=', now())
    .where(unpaused)
    .orderBy('due_at')
    .limit(limit)
    .execute();

/** The grants of all tenants at one provider, a few at once. @returns how many were refreshed */
async function keepAt(deps: KeepAlive, queues: readonly Queue[]): Promise<number> {
  const waiting = inTurn(queues);
  let kept = 0;
  const turns = Array.from({ length: AT_ONCE }, async () => {
    for (const { queue, grant } of waiting) {
      const result = await keepOne(deps, queue.line, grant);
      if (result === 'resting') queue.grants.length = 0;
      if (result !== 'refreshed') continue;
      kept += 1;
      deps.metrics?.kept.inc({ provider: grant.provider, result });
    }
  });
  await Promise.all(turns);
  return kept;
}

/** One of each tenant after the other, so that none waits behind another's; of those whose provider does not rest. */
function* inTurn(queues: readonly Queue[]): Generator<{ queue: Queue; grant: DueGrant }, void> {
  for (let left = queues; left.length > 0;) {
    left = left.filter(({ line, grants }) => grants.length > 0 && !line.rests());
    for (const queue of left) {
      // It may have come to rest since.
      const grant = queue.line.rests() ? undefined : queue.grants.shift();
      if (grant) yield { queue, grant };
    }
  }
}

/** `resting`: its provider was not asked. */
async function keepOne(
  deps: KeepAlive,
  line: ProviderLine,
  grant: DueGrant,
): Promise<'refreshed' | 'idle' | 'failed' | 'resting'> {
  try {
    const kept = await line.make(() => deps.keep(grant));
    if (kept === 'resting') return kept;
    return kept.refreshed ? 'refreshed' : 'idle';
  } catch (error) {
    const code = error instanceof Problem ? error.code : 'internal_error';
    deps.metrics?.kept.inc({ provider: grant.provider, result: code });
    if (!(error instanceof Problem)) deps.logger.warn({ err: error, id: grant.id }, 'a grant could not be kept alive');
    await postpone(deps, grant);
    return 'failed';
  }
}

async function postpone({ db, now }: KeepAlive, { id, tries }: DueGrant): Promise<void> {
  const seconds = Math.min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2 ** Math.min(tries, 10));
  // Spread by the grants' own slots, so that those of one outage do not come back together.
  const due = new Date(now().getTime() + seconds * (0.5 + slotOf(id)) * 1000);
  await db
    .updateTable('grants')
    .set({ tries: tries + 1, due_at: due })
    .where('id', '=', id)
    .where('due_at', '<=', now())
    .execute();
}
