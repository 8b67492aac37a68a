import { newEvent } from '@postern/audit';
import type { Audit } from '@postern/outbox';
import { queryIn, type Postgres } from '@postern/postgres';
import type { Now } from '@postern/runtime';
import type { ForwarderMetrics } from '../forwarder-metrics.ts';
import type { AttemptOutcome, DueDelivery } from './attempt.ts';

export type SettleAttempt = {
  postgres: Pick<Postgres<unknown>, 'db' | 'query'>;
  audit: Pick<Audit, 'within'>;
  metrics: ForwarderMetrics;
  now: Now;
};

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** Waits after the first attempt and the following ones, as Standard Webhooks proposes; after the last the delivery is dead. */
const SCHEDULE_MS = [
  5 * SECOND_MS,
  5 * MINUTE_MS,
  30 * MINUTE_MS,
  2 * HOUR_MS,
  5 * HOUR_MS,
  10 * HOUR_MS,
  14 * HOUR_MS,
  20 * HOUR_MS,
  24 * HOUR_MS,
];
const JITTER = 0.2;
/** A receiver that has taken nothing for so long is given up until somebody resumes it. */
const GIVEN_UP_MS = 5 * 24 * HOUR_MS;

/** When to try again, or null when it was tried often enough. */
export function nextAttemptMs(
  attempts: number,
  retryAfterMs: number,
  random: () => number = Math.random,
): number | null {
  const wait = SCHEDULE_MS[attempts - 1];
  return wait === undefined ? null : Math.max(retryAfterMs, Math.round(wait * (1 + JITTER * random())));
}

/** Writes down what came of an attempt, and whether its subscription is given up. */
export async function settleAttempt(deps: SettleAttempt, due: DueDelivery, result: AttemptOutcome): Promise<void> {
  const { postgres, metrics, now } = deps;
  const at = now();
  if (result.outcome === 'delivered') {
    metrics.deliveries.inc({ outcome: 'delivered' });
    await postgres.query(
      `with settled as (
         update webhook_deliveries set state = 'delivered', attempts = attempts + 1, next_attempt_at = null,
           last_status = $2, last_reason = null, settled_at = $3 where id = $1 returning subscription)
       update webhook_subscriptions s set failing_since = null from settled
       where s.id = settled.subscription and s.failing_since is not null`,
      [due.id, result.status, at],
    );
    return;
  }
  const wait = result.outcome === 'gone' ? null : nextAttemptMs(due.attempts + 1, result.retryAfterMs);
  metrics.deliveries.inc({ outcome: wait === null ? 'dead' : 'failed' });
  await postgres.db.transaction().execute(async (tx) => {
    const query = queryIn(tx);
    await query(
      `update webhook_deliveries set attempts = attempts + 1, last_status = $2, last_reason = $3,
         state = case when $4::timestamptz is null then 'dead' else 'pending' end, next_attempt_at = $4,
         settled_at = case when $4::timestamptz is null then $5::timestamptz end where id = $1`,
      [due.id, result.status, result.reason, wait === null ? null : new Date(at.getTime() + wait), at],
    );
    const cause = result.outcome === 'gone' ? 'gone' : 'failing';
    const [subscription] = await query<{ stopped: string | null }>(
      `update webhook_subscriptions set failing_since = coalesce(failing_since, $2),
         stopped = case when $3 = 'gone' or failing_since < $4 then $3::text end
       where id = $1 and stopped is null returning stopped`,
      [due.subscription, at, cause, new Date(at.getTime() - GIVEN_UP_MS)],
    );
    if (!subscription?.stopped) return;
    metrics.stoppedWebhooks.inc({ cause });
    const resource = { type: 'webhook', id: due.subscription };
    const actor = { workload: 'audit-sink' };
    const draft = { action: 'webhook.stopped', outcome: 'success', tenant: due.tenant, actor, resource } as const;
    await deps.audit.within(tx, newEvent({ ...draft, details: { cause } }, at));
  });
}
