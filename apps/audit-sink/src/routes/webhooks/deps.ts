import type { Postgres } from '@postern/postgres';
import type { Now } from '@postern/runtime';
import { z } from 'zod';
import { notificationTypes } from '../../forwarders/webhooks/notification-types.ts';
import { signatureKinds } from '../../forwarders/webhooks/signature.ts';
import type { Subscription, Subscriptions } from '../../forwarders/webhooks/subscriptions.ts';

/** What the routes of webhooks stand on. */
export type Webhooks = Omit<Subscriptions, 'query'> & {
  db: Postgres<unknown>['db'];
  query: Postgres<unknown>['query'];
  now: Now;
  /** Ed25519 is not among the algorithms of a FIPS deployment. */
  fips: boolean;
};

/** Webhooks carry a tenant's events out of the tenant: only who may configure it may name where to. */
export const CONFIGURE = { scope: 'webhooks:configure', role: 'admin' } as const;

export const webhookId = z.strictObject({ id: z.uuid() });

export const webhookBody = z.strictObject({
  id: z.string().describe('UUID of the webhook'),
  url: z.string().describe('where notifications go'),
  types: z.array(z.enum(notificationTypes)),
  signature: z.enum(signatureKinds),
  public_key: z.string().optional().describe('with Ed25519: what signatures verify under'),
  stopped: z.string().nullable().describe('why it was given up; null: it is not'),
  created_at: z.string().describe('RFC 3339'),
});

/** A subscription as routes show it: never its secret. */
export const webhookOf = ({ id, url, types, signature, publicKey, stopped, createdAt }: Subscription) => ({
  id,
  url,
  types,
  signature,
  ...(publicKey === null ? {} : { public_key: publicKey }),
  stopped,
  created_at: createdAt.toISOString(),
});

export const resourceOf = (id: string) => ({ type: 'webhook', id });
