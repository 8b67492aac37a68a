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

/**
 * Keeps grants alive that nobody uses: each is refreshed when its slot has come, within its provider's budget.
 * A provider that fails, or says when to come again, is left alone for that time, and only it.
 * @returns a round: how many grants were refreshed in it.
 */
export function openKeepAlive(deps: KeepAlive): () => Promise<number> {
  const { db, now, logger, metrics } = deps;
  const lines = new Map<string, ProviderLine>();

  function lineOf(provider: string): ProviderLine {
    const line = lines.get(provider) ?? openLine(provider, deps);
    lines.set(provider, line);
    return line;
  }

  const dueAt = (provider: string, limit: number): Promise<DueGrant[]> =>
    db
      .selectFrom('grants')
      .select(['id', 'provider', 'tries'])
      .where('state', '=', 'active')
      .where('due_at', '<=', now())
      .where('provider', '=', provider)
      .where(unpaused)
      .orderBy('due_at')
      .limit(limit)
      .execute();

  async function postpone({ id, tries }: DueGrant): Promise<void> {
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

  /** `resting`: its provider was not asked. */
  async function keepOne(line: ProviderLine, grant: DueGrant): Promise<'refreshed' | 'idle' | 'failed' | 'resting'> {
    try {
      const kept = await line.make(() => deps.keep(grant));
      if (kept === 'resting') return kept;
      return kept.refreshed ? 'refreshed' : 'idle';
    } catch (error) {
      const code = error instanceof Problem ? error.code : 'internal_error';
      metrics?.kept.inc({ provider: grant.provider, result: code });
      if (!(error instanceof Problem)) logger.warn({ err: error, id: grant.id }, 'a grant could not be kept alive');
      await postpone(grant);
      return 'failed';
    }
  }

  async function keepAt(provider: string): Promise<number> {
    const line = lineOf(provider);
    const waiting = await dueAt(provider, line.allowance());
    let kept = 0;
    const turns = Array.from({ length: AT_ONCE }, async () => {
      for (let grant = waiting.shift(); grant; grant = waiting.shift()) {
        if (line.rests()) return;
        const result = await keepOne(line, grant);
        if (result === 'resting') return;
        if (result === 'refreshed') {
          kept += 1;
          metrics?.kept.inc({ provider, result });
        }
      }
    });
    await Promise.all(turns);
    return kept;
  }

  return async () => {
    const providers = await db
      .selectFrom('grants')
      .select('provider')
      .distinct()
      .where('state', '=', 'active')
      .where('due_at', '<=', now())
      .where(unpaused)
      .execute();
    const kept = await Promise.all(providers.map(({ provider }) => keepAt(provider)));
    return kept.reduce((sum, one) => sum + one, 0);
  };
}
