import { readFile } from 'node:fs/promises';
import type { TlsMaterial } from '@postern/mtls';
import { Secret, type Now } from '@postern/runtime';
import type { TargetConfig } from '../forwarders-config.ts';
import { notificationTypes, typeOf } from '../webhooks/notification-types.ts';
import { notificationBody } from '../webhooks/notification.ts';
import { webhookHeaders, type WebhookKey } from '../webhooks/signature.ts';
import { egressTo, postJson } from './post.ts';
import { TargetAway, type Target } from './target.ts';

type OperatorWebhook = Extract<TargetConfig, { kind: 'webhook' }>;

const SECRET = /^whsec_[A-Za-z0-9+/=]{32,}$/;

/** The operator's own webhook: notifications of every tenant and of none, one request an event, in the log's order. */
export function operatorWebhook(config: OperatorWebhook, tls: Pick<TlsMaterial, 'current'>, now: Now): Target {
  const egress = egressTo(config, tls);
  const types = config.types ?? notificationTypes;
  return {
    oneByOne: true,
    async send(events, stop) {
      const keys = await readKeys(config.secretPath);
      for (const logged of events) {
        const type = typeOf(logged.event, types);
        if (type === undefined) continue;
        const body = notificationBody(type, logged);
        const headers = webhookHeaders(keys, { id: `msg_${logged.event.id}`, body, now: now() });
        await postJson(egress, config.url, { headers, body, stop });
      }
    },
    close: egress.close,
  };
}

/** One secret a line: a new one first, then the one it replaces, until every receiver knows the new one. */
async function readKeys(path: string): Promise<WebhookKey[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const lines = text.split('\n').map((line) => line.trim());
  const secrets = lines.filter((line) => line !== '');
  if (secrets.length === 0 || !secrets.every((line) => SECRET.test(line))) {
    throw new TargetAway('credential_unreadable', { lasting: true });
  }
  return secrets.map((secret) => ({ kind: 'hmac-sha256', secret: new Secret(secret) }));
}
