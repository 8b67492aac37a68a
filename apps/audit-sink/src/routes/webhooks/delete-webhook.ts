import { noContent, route } from '@postern/http';
import { queryIn } from '@postern/postgres';
import { deleteSubscription } from '../../forwarders/webhooks/subscriptions.ts';
import { CONFIGURE, resourceOf, webhookId, type Webhooks } from './deps.ts';

/** Ends a subscription; its deliveries go with it, also those that wait. */
export const deleteWebhook = ({ db }: Webhooks) =>
  route({
    method: 'DELETE',
    path: '/v1/webhooks/:id',
    listener: 'api',
    summary: 'Ends a webhook',
    ...CONFIGURE,
    audit: 'webhook.deleted',
    params: webhookId,
    answers: { 204: noContent },
    problems: ['webhook_not_found'],
    handle: ({ principal: { tenant }, params: { id } }, audit) =>
      db.transaction().execute(async (tx) => {
        await deleteSubscription(queryIn(tx), { tenant, id });
        return audit.within(tx, { resource: resourceOf(id), details: {} }, { status: 204 });
      }),
  });
