import { setTimeout as delay } from 'node:timers/promises';
import { dashboards } from '@postern/observability';

type Ask = (expr: string) => Promise<readonly unknown[]>;
export type Asked = { tried: number; empty: string[] };

const RETRY_MS = 1_000;

/**
 * Asks every query of every dashboard that has this source, until each has an answer or the time is over. A query that is not
 * understood is an empty one, with its reason.
 */
export async function askDashboards(
  source: 'prometheus' | 'loki',
  ask: Ask,
  { withinMs, without }: { withinMs: number; without: readonly string[] },
): Promise<Asked> {
  const queries = Object.values(dashboards).flatMap(({ title, graphs }) =>
    graphs
      .filter((graph) => graph.source === source && !without.includes(graph.title))
      .flatMap((graph) => graph.queries.map(({ expr }) => ({ expr, where: `${title} / ${graph.title}` }))),
  );
  let left = queries.map((query) => ({ ...query, why: 'no series' }));
  for (const end = Date.now() + withinMs; left.length > 0 && Date.now() < end; await delay(RETRY_MS)) {
    const answers = await Promise.all(
      left.map(async (query) => {
        try {
          return (await ask(query.expr)).length > 0 ? [] : [{ ...query, why: 'no series' }];
        } catch (error) {
          return [{ ...query, why: (error as Error).message }];
        }
      }),
    );
    left = answers.flat();
  }
  return { tried: queries.length, empty: left.map(({ where, expr, why }) => `${where}: ${expr}: ${why}`) };
}
