import { route } from '@postern/http';
import { z } from 'zod';
import { listSubscriptions } from '../../forwarders/webhooks/subscriptions.ts';
import { CONFIGURE, webhookBody, webhookOf, type Webhooks } from './deps.ts';

/** The tenant's subscriptions; there are at most 32. */
export const listWebhooks = ({ query }: Webhooks) =>
  route({
    method: 'GET',
    path: '/v1/webhooks',
    listener: 'api',
    summary: "The tenant's webhooks",
    ...CONFIGURE,
    audit: 'webhooks.listed',
    answers: { 200: z.strictObject({ webhooks: z.array(webhookBody) }) },
    async handle({ principal }, audit) {
      const webhooks = (await listSubscriptions(query, principal.tenant)).map(webhookOf);
      return audit.released({ details: { count: webhooks.length } }, { status: 200, body: { webhooks } });
    },
  });
