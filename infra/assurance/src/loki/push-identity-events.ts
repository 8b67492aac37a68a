import { setTimeout as delay } from 'node:timers/promises';
import { type Stack } from '@postern/dev';
import { Agent, request } from 'undici';
import { type PushedEvent } from './identity-events.ts';

const A_REQUEST = 20;
const RETRY_MS = 500;

/** Pushes as the provider's listener does: what is not acknowledged is pushed again. */
export async function pushIdentityEvents(stack: Stack, events: readonly PushedEvent[]): Promise<void> {
  const { cert, key, ca } = stack.certificates.of['identity-provider'];
  const dispatcher = new Agent({ connect: { cert, key, ca } });
  const url = `${stack.state.urls['audit-sink'].api}/v1/sources/keycloak/events`;
  const headers = { 'content-type': 'application/json' };
  try {
    for (let at = 0; at < events.length;) {
      const body = JSON.stringify({ events: events.slice(at, at + A_REQUEST) });
      const answer = await request(url, { dispatcher, method: 'POST', headers, body }).catch(() => null);
      const text = await answer?.body.text().catch(() => '');
      const status = answer?.statusCode ?? 503;
      if (status === 200) at += A_REQUEST;
      else if (status < 500) throw new Error(`the push was refused: ${text}`);
      else await delay(RETRY_MS);
    }
  } finally {
    await dispatcher.close();
  }
}
