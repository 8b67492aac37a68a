import { route } from '@postern/http';
import { queryIn } from '@postern/postgres';
import { problem } from '@postern/runtime';
import { z } from 'zod';
import { notificationTypes } from '../../forwarders/webhooks/notification-types.ts';
import { signatureKinds } from '../../forwarders/webhooks/signature.ts';
import { createSubscription, newKey } from '../../forwarders/webhooks/subscriptions.ts';
import { CONFIGURE, resourceOf, webhookBody, webhookOf, type Webhooks } from './deps.ts';

/** Of a name in the DNS (RFC 1035 section 2.3.4). */
const HOST_CHARACTERS = 253;

/**
 * Subscribes an address to notifications of the tenant, from now on. The secret (Standard Webhooks, `whsec_...`) is in this
 * answer and in no other: the same Idempotency-Key again shows the subscription without it.
 */
export const createWebhook = (deps: Webhooks) =>
  route({
    method: 'POST',
    path: '/v1/webhooks',
    listener: 'api',
    summary: 'Subscribes an address to notifications',
    ...CONFIGURE,
    tier: 'sensitive',
    audit: 'webhook.created',
    idempotency: 'accepted',
    body: z.strictObject({
      url: z
        .url({ protocol: /^https$/ })
        .max(2_048)
        .refine((url) => (URL.parse(url)?.hostname.length ?? 0) <= HOST_CHARACTERS, 'a host that is longer than any')
        .describe('https, at a public address or one that the operator allows (R35)'),
      types: z
        .array(z.enum(notificationTypes))
        .min(1)
        .max(notificationTypes.length)
        .refine((types) => new Set(types).size === types.length, 'a type is named twice'),
      signature: z.enum(signatureKinds).default('hmac-sha256'),
    }),
    answers: { 201: webhookBody.extend({ secret: z.string().optional().describe('with HMAC: shown this once') }) },
    problems: ['webhook_url_refused', 'too_many_webhooks', 'signature_unavailable', 'idempotency_key_reused'],
    async handle({ principal, body, idempotency }, audit) {
      if (deps.fips && body.signature === 'ed25519') throw problem('signature_unavailable');
      const key = await newKey(deps.keys, { tenant: principal.tenant, signature: body.signature });
      return deps.db.transaction().execute(async (tx) => {
        const { subscription, secret } = await createSubscription(
          { ...deps, query: queryIn(tx) },
          { ...body, key, tenant: principal.tenant, now: deps.now(), idempotency },
        );
        const details = { types: body.types, host: new URL(body.url).host, signature: body.signature };
        return audit.within(
          tx,
          { resource: resourceOf(subscription.id), details },
          { status: 201, body: { ...webhookOf(subscription), ...(secret ? { secret: secret.reveal() } : {}) } },
        );
      });
    },
  });
