import { route } from '@postern/http';
import { queryIn } from '@postern/postgres';
import { z } from 'zod';
import { redeliver } from '../../forwarders/webhooks/deliveries.ts';
import { CONFIGURE, resourceOf, type Webhooks } from './deps.ts';

/** Sends a delivery once more under the id it had, whatever became of it before. */
export const redeliverWebhook = ({ db, now }: Webhooks) =>
  route({
    method: 'POST',
    path: '/v1/webhooks/:id/deliveries/:delivery/redeliver',
    listener: 'api',
    summary: 'Sends a delivery once more',
    ...CONFIGURE,
    tier: 'sensitive',
    audit: 'webhook.redelivered',
    params: z.strictObject({
      id: z.uuid(),
      delivery: z
        .string()
        .regex(/^msg_[0-9a-f-]{36}$/)
        .describe('its `webhook-id`'),
    }),
    answers: { 202: z.strictObject({ delivery: z.string().describe('its id') }) },
    problems: ['delivery_not_found'],
    handle: ({ principal: { tenant }, params: { id, delivery } }, audit) =>
      db.transaction().execute(async (tx) => {
        await redeliver(queryIn(tx), { tenant, id, delivery, now: now() });
        return audit.within(
          tx,
          { resource: resourceOf(id), details: { delivery } },
          { status: 202, body: { delivery } },
        );
      }),
  });
