import { route } from '@postern/http';
import { z } from 'zod';
import { listDeliveries, type Delivery } from '../../forwarders/webhooks/deliveries.ts';
import { CONFIGURE, resourceOf, webhookId, type Webhooks } from './deps.ts';

const states = z.enum(['pending', 'delivered', 'dead']);
const deliveryId = z.string().regex(/^msg_[0-9a-f-]{36}$/);

const delivery = z.strictObject({
  id: z.string().describe('the `webhook-id` header of every attempt'),
  event: z.string().nullable(),
  type: z.string(),
  state: states,
  attempts: z.int(),
  next_attempt_at: z.string().nullable(),
  last_status: z.int().nullable(),
  last_reason: z.string().nullable(),
  created_at: z.string(),
  settled_at: z.string().nullable(),
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
      after: deliveryId.optional(),
      limit: z.coerce.number().int().min(1).max(200).default(50),
    }),
    answers: { 200: z.strictObject({ deliveries: z.array(delivery), next: z.string().optional() }) },
    problems: ['webhook_not_found'],
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
