import { route } from '@postern/http';
import { queryIn } from '@postern/postgres';
import { z } from 'zod';
import { newKey, rotateSecret, signatureOf } from '../../forwarders/webhooks/subscriptions.ts';
import { CONFIGURE, resourceOf, webhookBody, webhookId, webhookOf, type Webhooks } from './deps.ts';

/** A new secret, shown here only. Until `previous_until` each delivery carries the signatures of both. */
export const rotateWebhookSecret = (deps: Webhooks) =>
  route({
    method: 'POST',
    path: '/v1/webhooks/:id/rotate-secret',
    listener: 'api',
    summary: 'Replaces the secret of a webhook',
    ...CONFIGURE,
    tier: 'sensitive',
    audit: 'webhook.secret_rotated',
    params: webhookId,
    answers: {
      200: webhookBody.extend({
        secret: z.string().optional().describe('with HMAC: shown this once'),
        previous_until: z.string().describe('until then both sign, RFC 3339'),
      }),
    },
    problems: ['webhook_not_found'],
    async handle({ principal: { tenant }, params: { id } }, audit) {
      const signature = await signatureOf(deps.query, { tenant, id });
      const key = await newKey(deps.keys, { tenant, id, signature });
      return deps.db.transaction().execute(async (tx) => {
        const rotated = await rotateSecret(queryIn(tx), { tenant, key, now: deps.now() });
        const previousUntil = rotated.previousUntil.toISOString();
        const secret = rotated.secret ? { secret: rotated.secret.reveal() } : {};
        return audit.within(
          tx,
          { resource: resourceOf(id), details: { previousUntil } },
          { status: 200, body: { ...webhookOf(rotated.subscription), ...secret, previous_until: previousUntil } },
        );
      });
    },
  });
