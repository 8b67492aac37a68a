import type { Route } from '@postern/http';
import { createWebhook } from './create-webhook.ts';
import { deleteWebhook } from './delete-webhook.ts';
import type { Webhooks } from './deps.ts';
import { listWebhookDeliveries } from './list-deliveries.ts';
import { listWebhooks } from './list-webhooks.ts';
import { redeliverWebhook } from './redeliver.ts';
import { resumeWebhook } from './resume-webhook.ts';
import { rotateWebhookSecret } from './rotate-webhook-secret.ts';
import { testWebhook } from './test-webhook.ts';

export type { Webhooks };

export const webhookRoutes = (deps: Webhooks): Route[] => [
  createWebhook(deps),
  listWebhooks(deps),
  deleteWebhook(deps),
  rotateWebhookSecret(deps),
  resumeWebhook(deps),
  testWebhook(deps),
  listWebhookDeliveries(deps),
  redeliverWebhook(deps),
];
