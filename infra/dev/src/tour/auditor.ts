import { logInAs } from '@postern/cli';
import { verifyReceipt, type Postern } from '@postern/client';
import { setTimeout as delay } from 'node:timers/promises';

import { PORTAL_REDIRECT } from '../identity-provider.ts';
import { type State } from '../state.ts';
import { type Cast } from './cast.ts';
import { expect, type Play } from './row.ts';

/** Events travel by the bus; they are in the log within moments of the answer that they preceded. */
const ARRIVE_WITHIN_MS = 180_000;
const PAGE = 200;

type Event = { id: string; time: string; action: string };
type Sought = { actions: string[]; since: Date };

/** The last row: audrey, whose role is auditor, finds every step of the tour in the log and checks the proofs offline. */
export async function audit(state: State, { portal }: Cast, ca: string, sought: Sought, play: Play): Promise<void> {
  await play('auditor reads the events, checks proofs offline', async () => {
    const realm = { issuer: state.issuer, clientId: 'portal', postern: portal, ca, redirectUri: PORTAL_REDIRECT };
    const u = await logInAs({ username: 'audrey', password: state.users['audrey'] ?? '' }, realm);
    const asked = { subjectToken: u, audience: 'audit-sink', scopes: ['audit:read'] };
    const { accessToken: token } = await portal.exchange(asked);
    const logKey = (await portal.fetch(`${state.urls['audit-sink'].api}/v1/log/key`, { method: 'GET' })).body;

    const events = await untilLogged(portal, token, sought);
    let treeSize = 0;
    for (const { id } of events) {
      ({ treeSize } = verifyReceipt(await portal.audit.receipt(id, { token }), { logKey }));
    }
    return { value: undefined, outcome: `${events.length} events proven in a log of ${treeSize} entries` };
  });
}

async function untilLogged(portal: Postern, token: string, { actions, since }: Sought): Promise<Event[]> {
  const deadline = performance.now() + ARRIVE_WITHIN_MS;
  for (;;) {
    const events = (await allEvents(portal, token)).filter(({ time }) => time >= since.toISOString());
    const missing = actions.filter((action) => !events.some((event) => event.action === action));
    if (missing.length === 0) return events;
    expect(performance.now() < deadline, `these events in the log: ${missing.join(', ')}`);
    await delay(200);
  }
}

/** Every event of the tenant, oldest first, page by page. */
export async function allEvents(portal: Postern, token: string): Promise<Event[]> {
  const events: Event[] = [];
  for (let after: string | undefined; ;) {
    const page = await portal.audit.events({ limit: PAGE, ...(after === undefined ? {} : { after }) }, { token });
    events.push(...(page.events as unknown as Event[]));
    if (page.next === undefined) return events;
    after = page.next;
  }
}
