import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { verifyReceipt, type EventReceipt } from '@postern/client';
import { type MintOptions } from '@postern/testing';
import { request } from 'undici';
import { openWorld, until, type World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(async () => {
  await world?.close();
});

const SHA256 = 'ab'.repeat(32);

test('the hash of evidence is an event of the log, and its receipt shows it offline; nobody but an operator puts one there', async () => {
  const { url } = await world.sink();
  const caller = await world.caller();
  const record = async (body: object, as: Partial<MintOptions> = {}) => {
    const token = await caller.token({ scopes: ['log:operate'], roles: ['operator'], ...as });
    const answer = await request(`${url}/v1/log/evidence`, {
      method: 'POST',
      dispatcher: caller.dispatcher,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return { status: answer.statusCode, body: (await answer.body.json()) as Record<string, unknown> };
  };
  const evidence = { subject: 'shop', sha256: SHA256, checks: 26, satisfied: 25 };
  expect(await record(evidence, { roles: ['auditor'] })).toMatchObject({ body: { code: 'role_missing' } });
  expect(await record(evidence, { scopes: ['audit:read'] })).toMatchObject({ status: 403 });
  for (const wrong of [{ sha256: SHA256.toUpperCase() }, { subject: 'A shop' }, { checks: -1 }, { more: 1 }])
    expect(await record({ ...evidence, ...wrong })).toMatchObject({ status: 400, body: { code: 'invalid_input' } });

  expect(await record(evidence)).toEqual({ status: 200, body: { subject: 'shop', sha256: SHA256 } });
  type Found = { events: { id: string }[] };
  const found = async () =>
    (await caller.get(`${url}/v1/events?action=evidence.recorded&outcome=success`)).body as unknown as Found;
  await until(async () => (await found()).events.length === 1, 'the event is in the log');
  const [{ id } = { id: '' }] = (await found()).events;
  const receipt = (await caller.get(`${url}/v1/events/${id}/receipt`)).body as unknown as EventReceipt;
  const logKey = (await caller.get(`${url}/v1/log/key`, null)).text.trim();
  expect(verifyReceipt(receipt, { logKey }).event).toMatchObject({
    action: 'evidence.recorded',
    resource: { type: 'evidence', id: 'shop' },
    details: { sha256: SHA256, checks: 26, satisfied: 25 },
  });
  const altered = JSON.parse(JSON.stringify(receipt).replace(SHA256, 'cd'.repeat(32))) as EventReceipt;
  expect(() => verifyReceipt(altered, { logKey })).toThrow();
});
