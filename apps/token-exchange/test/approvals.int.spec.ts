import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { deciders } from './approvals/deciders.ts';
import { ends } from './approvals/ends.ts';
import { APPROVE, approver, asks, decide, inForce, open, wait, world } from './approvals/scene.ts';
import { waitingExchanges } from './approvals/waiting-exchanges.ts';

beforeAll(open);
afterAll(() => world.close());
beforeEach(() => wait(3_600));

waitingExchanges();
deciders();
ends();

test('the list is searched by audience, scope and person', async () => {
  await inForce({});
  const { body } = await asks('secrets:write');
  const by = await approver();
  const found = async (query: string) => {
    const { approvals } = (await by('GET', `/v1/approvals?${query}`)).body as { approvals: { id: string }[] };
    return approvals.some(({ id }) => id === body['approval_id']);
  };
  expect(await found('audience=key-proxy&scope=secrets:write&person=alice&workload=job')).toBe(true);
  for (const other of [
    'audience=crypto-store',
    'scope=secrets:read',
    'person=bob',
    'workload=portal',
    'state=denied',
  ]) {
    expect(await found(other)).toBe(false);
  }
});

test('each request and each verdict is an event, without the words of either', async () => {
  await inForce({});
  const { body } = await asks('secrets:read', { justification: 'canary-justification' });
  await decide(body['approval_id'], { ...APPROVE, reason: 'canary-reason' });
  const rows = await world.query<{ text: string }>('select o::text as text from audit_outbox o');
  const recorded = rows.map(({ text }) => text).join();
  const bytes = (text: string) => Buffer.from(text).toString('hex');
  expect(recorded).toContain(bytes('approval.requested'));
  expect(recorded).toContain(bytes('approval.decided'));
  expect(recorded).not.toContain(bytes('canary'));
  expect(world.logged.join('')).not.toContain('canary');
});
