import { logInAs } from '@postern/cli';
import { verifyReceipt } from '@postern/client';
import { setTimeout as delay } from 'node:timers/promises';

import { PORTAL_REDIRECT } from '../identity-provider.ts';
import { type State } from '../state.ts';
import { type Cast } from './cast.ts';
import { expect, type Play } from './row.ts';

/** Events travel by the bus; they are in the log within moments of the answer that they preceded. */
const ARRIVE_WITHIN_MS = 15_000;

/** The last row: audrey, whose role is auditor, finds every step of the tour in the log and checks the proofs offline. */
export async function audit(state: State, { portal }: Cast, ca: string, actions: string[], play: Play): Promise<void> {
  await play('auditor reads the events, checks proofs offline', async () => {
    const realm = { issuer: state.issuer, clientId: 'portal', postern: portal, ca, redirectUri: PORTAL_REDIRECT };
    const u = await logInAs({ username: 'audrey', password: state.users['audrey'] ?? '' }, realm);
    const { accessToken: token } = await portal.exchange({
      subjectToken: u,
      audience: 'audit-sink',
      scopes: ['audit:read'],
    });
    const events = await eventsWith(actions, () => portal.audit.events({ limit: 100 }, { token }));
    for (const event of events) {
      const receipt = await portal.audit.receipt(String(event['id']), { token });
      verifyReceipt(receipt);
    }
    return { value: undefined, outcome: `${events.length} events in the log, each proof verified` };
  });
}

type Page = { events: readonly Record<string, unknown>[] };

async function eventsWith(actions: string[], read: () => Promise<Page>): Promise<readonly Record<string, unknown>[]> {
  const deadline = performance.now() + ARRIVE_WITHIN_MS;
  for (;;) {
    const { events } = await read();
    const missing = actions.filter((action) => !events.some((event) => event['action'] === action));
    if (missing.length === 0) return events;
    expect(performance.now() < deadline, `these events in the log: ${missing.join(', ')}`);
    await delay(200);
  }
}
