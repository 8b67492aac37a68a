import { queryIn, type Postgres } from '@postern/postgres';
import type { Logger, Now } from '@postern/runtime';
import type { ReadLog } from '../read-log.ts';
import { deliveryId } from './deliveries.ts';
import { actionsOf, typeOf, type NotificationType } from './notification-types.ts';
import { notificationBody } from './notification.ts';

export type PlanDeliveries = {
  postgres: Pick<Postgres<unknown>, 'db' | 'query'>;
  readLog: ReadLog;
  logger: Logger;
  now: Now;
};

/** Deliveries of one subscription that wait at most; beyond that its cursor waits, in the log. */
const OUTSTANDING = 200;

/**
 * Looks at the log for each subscription, from its own cursor on, and makes deliveries of what it asks for: the deliveries
 * and the cursor behind them in one transaction, so that none is forgotten or made twice.
 */
export async function planDeliveries(deps: PlanDeliveries): Promise<void> {
  const { postgres } = deps;
  const due = await postgres.query<{
    id: string;
    tenant: string;
    types: NotificationType[];
    next: string;
    waiting: string;
  }>(
    `select s.id, s.tenant, s.types, s.next_index as next,
       (select count(*) from webhook_deliveries d where d.subscription = s.id and d.state = 'pending') as waiting
     from webhook_subscriptions s, log_head h where s.stopped is null and s.next_index < h.size`,
  );
  for (const { id, tenant, types, next, waiting } of due) {
    const room = OUTSTANDING - Number(waiting);
    if (room > 0) await planFor(deps, { id, tenant, types, next: Number(next) }, room);
  }
}

async function planFor(
  { postgres, readLog, logger, now }: PlanDeliveries,
  { id, tenant, types, next }: { id: string; tenant: string; types: NotificationType[]; next: number },
  room: number,
): Promise<void> {
  const part = await readLog({ from: next, limit: room, tenant, actions: actionsOf(types) });
  if (part.next === next) return;
  for (const { index } of part.altered)
    logger.error({ id, index }, 'an event was altered: its webhook is told nothing of it');
  const planned = part.events.flatMap((logged) => {
    const type = typeOf(logged.event, types);
    return type === undefined ? [] : [{ logged, type }];
  });
  await postgres.db.transaction().execute(async (tx) => {
    const query = queryIn(tx);
    const moved = await query(
      'update webhook_subscriptions set next_index = $3 where id = $1 and next_index = $2 returning 1',
      [id, next, part.next],
    );
    if (moved.length === 0 || planned.length === 0) return;
    await query(
      `insert into webhook_deliveries (id, subscription, event_id, index, type, body, state, next_attempt_at, created_at)
       select p.id, $1, p.event_id, p.index, p.type, p.body, 'pending', $7, $7
       from unnest($2::text[], $3::uuid[], $4::bigint[], $5::text[], $6::text[]) as p(id, event_id, index, type, body)
       on conflict (subscription, event_id) do nothing`,
      [
        id,
        planned.map(deliveryId),
        planned.map(({ logged }) => logged.event.id),
        planned.map(({ logged }) => logged.index),
        planned.map(({ type }) => type),
        planned.map(({ logged, type }) => notificationBody(type, logged)),
        now(),
      ],
    );
  });
}
