import { setTimeout as sleep } from 'node:timers/promises';
import type { BranchKeys } from '@postern/branch-keys';
import type { Egress } from '@postern/egress';
import type { Logger } from '@postern/runtime';
import { attempt, type DueDelivery } from './attempt.ts';
import { planDeliveries, type PlanDeliveries } from './plan-deliveries.ts';
import { settleAttempt, type SettleAttempt } from './settle-attempt.ts';

export type RunWebhooks = PlanDeliveries & SettleAttempt & { egress: Egress; keys: BranchKeys; logger: Logger };

const TICK_MS = 250;
/** Attempts at a time: of all, of one tenant. Of one subscription one, in the order in which its events happened. */
const AT_ONCE = 32;
const AT_ONCE_OF_TENANT = 4;
const FORGET_EVERY_MS = 3_600_000;
const KEPT_DAYS = 30;

/** Plans and sends until it has to end; attempts under way are broken off. */
export async function runWebhooks(
  deps: RunWebhooks,
  { stop, ended }: { stop: AbortSignal; ended: () => boolean },
): Promise<void> {
  const { logger, now } = deps;
  const underWay: UnderWay = new Map();
  let forgotten = 0;
  while (!ended()) {
    try {
      await planDeliveries(deps);
      await start(deps, underWay, stop);
      if (now().getTime() - forgotten > FORGET_EVERY_MS) {
        await forgetSettled(deps);
        forgotten = now().getTime();
      }
    } catch (err) {
      logger.warn({ err }, 'webhooks wait');
      await pause(1_000, stop);
    }
    await pause(TICK_MS, stop);
  }
  await Promise.all([...underWay.values()].map(({ done }) => done));
}

type UnderWay = Map<string, { tenant: string; done: Promise<void> }>;

async function start(deps: RunWebhooks, underWay: UnderWay, stop: AbortSignal): Promise<void> {
  const { postgres, metrics, logger, now } = deps;
  const room = AT_ONCE - underWay.size;
  if (room <= 0) return;
  const rows = await postgres.query<DueDelivery>(
    // Of each tenant as many as it may have at once, and first of those that have fewest: so neither one with many nor many whose
    // receivers hang hold up another.
    `select * from (select *, row_number() over (partition by tenant order by next_attempt_at)
         + (select count(*) from unnest($5::text[]) as busy (tenant) where busy.tenant = first_of_each.tenant) as place from (
       select distinct on (s.id) d.id, d.body, d.attempts, d.next_attempt_at, s.id as subscription, s.tenant, s.url,
         s.signature, s.sealed_secret as sealed, case when s.previous_until > $1 then s.sealed_previous end as previous
       from webhook_deliveries d join webhook_subscriptions s on s.id = d.subscription
       where d.state = 'pending' and d.next_attempt_at <= $1 and s.stopped is null and not s.id = any($2::uuid[])
       order by s.id, d.next_attempt_at, d.index
     ) as first_of_each) as placed where place <= $4 order by place, next_attempt_at limit $3`,
    [now(), [...underWay.keys()], room, AT_ONCE_OF_TENANT, [...underWay.values()].map(({ tenant }) => tenant)],
  );
  for (const due of rows) {
    const done = attempt(deps, due, stop)
      // One that was broken off may have arrived: it is made again, under the same id.
      .then((result) => (stop.aborted && result.outcome !== 'delivered' ? undefined : settleAttempt(deps, due, result)))
      .catch((err: unknown) => logger.warn({ err, id: due.id }, 'an attempt at a webhook came to nothing'))
      .finally(() => underWay.delete(due.subscription));
    underWay.set(due.subscription, { tenant: due.tenant, done });
  }
  const [waiting] = await postgres.query<{ pending: string; overdue: string | null }>(
    `select count(*) as pending, extract(epoch from $1 - min(next_attempt_at)) as overdue
     from webhook_deliveries d join webhook_subscriptions s on s.id = d.subscription
     where d.state = 'pending' and s.stopped is null`,
    [now()],
  );
  metrics.pending.set(Number(waiting?.pending ?? 0));
  metrics.overdue.set(Math.max(0, Number(waiting?.overdue ?? 0)));
}

const forgetSettled = ({ postgres, now }: RunWebhooks) =>
  postgres.query(`delete from webhook_deliveries where state <> 'pending' and settled_at < $1`, [
    new Date(now().getTime() - KEPT_DAYS * 86_400_000),
  ]);

const pause = (ms: number, stop: AbortSignal): Promise<void> =>
  sleep(ms, undefined, { signal: stop }).catch(() => undefined);
