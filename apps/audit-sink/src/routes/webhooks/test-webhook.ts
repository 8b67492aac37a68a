import { route } from '@postern/http';
import { queryIn } from '@postern/postgres';
import { z } from 'zod';
import { addTest } from '../../forwarders/webhooks/deliveries.ts';
import { CONFIGURE, resourceOf, webhookId, type Webhooks } from './deps.ts';

/** Sends an empty notification of type `webhook.test`; what became of it is among the deliveries. */
export const testWebhook = ({ db, now }: Webhooks) =>
  route({
    method: 'POST',
    path: '/v1/webhooks/:id/test',
    listener: 'api',
    summary: 'Sends a test notification',
    ...CONFIGURE,
    tier: 'sensitive',
    audit: 'webhook.tested',
    params: webhookId,
    answers: { 202: z.strictObject({ delivery: z.string().describe('its id') }) },
    problems: ['webhook_not_found'],
    handle: ({ principal: { tenant }, params: { id } }, audit) =>
      db.transaction().execute(async (tx) => {
        const delivery = await addTest(queryIn(tx), { tenant, id, now: now() });
        return audit.within(
          tx,
          { resource: resourceOf(id), details: { delivery } },
          { status: 202, body: { delivery } },
        );
      }),
  });
