import { randomUUID } from 'node:crypto';
import type { Query } from '@postern/postgres';
import { problem } from '@postern/runtime';
import { testBody } from './notification.ts';

export type Delivery = {
  id: string;
  eventId: string | null;
  type: string;
  state: 'pending' | 'delivered' | 'dead';
  attempts: number;
  nextAttemptAt: Date | null;
  lastStatus: number | null;
  lastReason: string | null;
  createdAt: Date;
  settledAt: Date | null;
};

const COLUMNS = `d.id, d.event_id as "eventId", d.type, d.state, d.attempts, d.next_attempt_at as "nextAttemptAt",
  d.last_status as "lastStatus", d.last_reason as "lastReason", d.created_at as "createdAt", d.settled_at as "settledAt"`;

export const deliveryId = (): string => `msg_${randomUUID()}`;

/**
 * A page of a subscription's deliveries, oldest first.
 * @throws Problem `webhook_not_found`; `invalid_input` for an `after` that is none of them, or none any more.
 */
export async function listDeliveries(
  query: Query,
  { tenant, id, state, after, limit }: DeliveriesAsked,
): Promise<{ deliveries: Delivery[]; next?: string }> {
  const [own] = await query('select 1 from webhook_subscriptions where tenant = $1 and id = $2', [tenant, id]);
  if (!own) throw problem('webhook_not_found');
  if (after !== undefined) {
    const known = await query('select 1 from webhook_deliveries where subscription = $1 and id = $2', [id, after]);
    const rule = 'a delivery of this webhook that is still kept';
    if (known.length === 0) throw problem('invalid_input', { fields: [{ field: 'query.after', rule }] });
  }
  const rows = await query<Delivery>(
    `select ${COLUMNS} from webhook_deliveries d
     where d.subscription = $1 and ($2::text is null or d.state = $2)
       and ($3::text is null or (d.created_at, d.id) > (select created_at, id from webhook_deliveries where id = $3))
     order by d.created_at, d.id limit $4`,
    [id, state ?? null, after ?? null, limit + 1],
  );
  const deliveries = rows.slice(0, limit);
  const last = deliveries.at(-1);
  return { deliveries, ...(rows.length > limit && last ? { next: last.id } : {}) };
}

export type DeliveriesAsked = {
  tenant: string;
  id: string;
  state?: Delivery['state'] | undefined;
  /** The last id of the page before. */
  after?: string | undefined;
  limit: number;
};

/** A delivery that says nothing, to see whether it arrives. @throws Problem `webhook_not_found`. */
export async function addTest(query: Query, at: { tenant: string; id: string; now: Date }): Promise<string> {
  const rows = await query<{ id: string }>(
    `insert into webhook_deliveries (id, subscription, type, body, state, next_attempt_at, created_at)
     select $3, s.id, 'webhook.test', $4, 'pending', $5, $5 from webhook_subscriptions s
     where s.tenant = $1 and s.id = $2 returning id`,
    [at.tenant, at.id, deliveryId(), testBody(at.now), at.now],
  );
  if (!rows[0]) throw problem('webhook_not_found');
  return rows[0].id;
}

/** Sends a delivery once more, under the id it had: a receiver that took it knows it again. @throws Problem `delivery_not_found`. */
export async function redeliver(
  query: Query,
  at: { tenant: string; id: string; delivery: string; now: Date },
): Promise<void> {
  const rows = await query(
    `update webhook_deliveries d set state = 'pending', attempts = 0, next_attempt_at = $4, settled_at = null
     from webhook_subscriptions s
     where s.tenant = $1 and s.id = $2 and d.subscription = s.id and d.id = $3 returning 1`,
    [at.tenant, at.id, at.delivery, at.now],
  );
  if (rows.length === 0) throw problem('delivery_not_found');
}
