import { route } from '@postern/http';
import { queryIn } from '@postern/postgres';
import { resumeSubscription } from '../../forwarders/webhooks/subscriptions.ts';
import { CONFIGURE, resourceOf, webhookBody, webhookId, webhookOf, type Webhooks } from './deps.ts';

/** Sends again to an address that was given up; what happened meanwhile follows. */
export const resumeWebhook = ({ db }: Webhooks) =>
  route({
    method: 'POST',
    path: '/v1/webhooks/:id/resume',
    listener: 'api',
    summary: 'Resumes a webhook that was given up',
    ...CONFIGURE,
    audit: 'webhook.resumed',
    params: webhookId,
    answers: { 200: webhookBody },
    problems: ['webhook_not_found'],
    handle: ({ principal: { tenant }, params: { id } }, audit) =>
      db.transaction().execute(async (tx) => {
        const body = webhookOf(await resumeSubscription(queryIn(tx), { tenant, id }));
        return audit.within(tx, { resource: resourceOf(id), details: {} }, { status: 200, body });
      }),
  });
