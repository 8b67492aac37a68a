import { route } from '@postern/http';
import { z } from 'zod';
import { listDeliveries, type Delivery } from '../../forwarders/webhooks/deliveries.ts';
import { CONFIGURE, resourceOf, webhookId, type Webhooks } from './deps.ts';

const states = z.enum(['pending', 'delivered', 'dead']);
const deliveryId = z.string().regex(/^msg_[0-9a-f-]{36}$/);

const delivery = z.strictObject({
  id: z.string().describe('the `webhook-id` header of every attempt'),
  event: z.string().nullable().describe('UUID of the event; null of a test'),
  type: z.string().describe('of the notification'),
  state: states,
  attempts: z.int().describe('how often it was tried'),
  next_attempt_at: z.string().nullable().describe('RFC 3339; null: it is not tried again'),
  last_status: z.int().nullable().describe('what the address answered last'),
  last_reason: z.string().nullable().describe('why it failed last, as a code'),
  created_at: z.string().describe('RFC 3339'),
  settled_at: z.string().nullable().describe('when it was delivered or given up, RFC 3339'),
});

/** A webhook's deliveries, oldest first; those that are settled are kept for 30 days. */
export const listWebhookDeliveries = ({ query }: Webhooks) =>
  route({
    method: 'GET',
    path: '/v1/webhooks/:id/deliveries',
    listener: 'api',
    summary: "A webhook's deliveries with what became of them",
    ...CONFIGURE,
    audit: 'webhook.deliveries_listed',
    params: webhookId,
    query: z.strictObject({
      state: states.optional(),
      after: deliveryId.optional().describe('`next` of the page before'),
      limit: z.coerce.number().int().min(1).max(200).default(50).describe('deliveries a page'),
    }),
    answers: {
      200: z.strictObject({
        deliveries: z.array(delivery),
        next: z.string().optional().describe('`after` of the next page; absent at the end'),
      }),
    },
    problems: ['webhook_not_found', 'invalid_input'],
    async handle({ principal: { tenant }, params: { id }, query: asked }, audit) {
      const { deliveries, ...rest } = await listDeliveries(query, { tenant, id, ...asked });
      return audit.released(
        { resource: resourceOf(id), details: { count: deliveries.length } },
        { status: 200, body: { deliveries: deliveries.map(shown), ...rest } },
      );
    },
  });

const shown = (one: Delivery) => ({
  id: one.id,
  event: one.eventId,
  type: one.type,
  state: one.state,
  attempts: one.attempts,
  next_attempt_at: one.nextAttemptAt?.toISOString() ?? null,
  last_status: one.lastStatus,
  last_reason: one.lastReason,
  created_at: one.createdAt.toISOString(),
  settled_at: one.settledAt?.toISOString() ?? null,
});
