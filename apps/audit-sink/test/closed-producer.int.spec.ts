import { createHash, X509Certificate } from 'node:crypto';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { AuditBatch, AuditEvent } from '@postern/audit';
import type { MintOptions } from '@postern/testing';
import { request } from 'undici';
import { entry, openSentBatches, signed, type SentBatches, type Signer } from './sent-batches.ts';
import { event, heldIds, until } from './world.ts';

let opened: SentBatches;
let world: SentBatches['world'];
let url: SentBatches['url'];
let quarantined: SentBatches['quarantined'];

beforeAll(async () => {
  opened = await openSentBatches();
  ({ world, url, quarantined } = opened);
});
afterAll(() => opened?.close());

test('a producer that was compromised is closed at a logged point: nothing more under its certificate or in its epoch, and under a new one it goes on (R26)', async () => {
  const name = 'auth-manager';
  const service = await world.producer(name);
  await service.relay(url);
  const did = (count: number) => Array.from({ length: count }, () => event({ actor: { workload: name } }));
  const commit = (events: readonly AuditEvent[]) => Promise.all(events.map((one) => service.audit.commit(one)));
  const ids = (events: readonly { id: string }[]) => events.map(({ id }) => id).sort();
  const held = async () => ids((await heldIds(world, name)).map((id) => ({ id })));
  const before = did(3);
  await commit(before);
  await until(async () => (await heldIds(world, name)).length === 3, 'its events are in the log');
  const stolen: Signer = service.tls.current();

  const operator = await world.caller();
  const close = async (body: object, as: Partial<MintOptions> = {}) => {
    const token = await operator.token({ scopes: ['log:operate'], roles: ['operator'], ...as });
    const answer = await request(`${url}/v1/log/producers/${name}/close`, {
      method: 'POST',
      dispatcher: operator.dispatcher,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return { status: answer.statusCode, body: (await answer.body.json()) as Record<string, unknown> };
  };
  expect(await close({ reason: 'compromised' }, { roles: ['admin'] })).toMatchObject({
    body: { code: 'role_missing' },
  });
  const future = { reason: 'compromised', certificates_before: '2999-01-01T00:00:00Z' };
  expect(await close(future)).toMatchObject({ status: 400, body: { code: 'invalid_input' } });
  expect(await close({ reason: 'Because I say so' })).toMatchObject({ status: 400 });
  const closed = await close({ reason: 'compromised' });
  expect(closed).toMatchObject({
    status: 200,
    body: { epoch: 1, seq: 3, certificates: [{ thumbprint: thumbprintOf(stolen.cert), entries: 3 }] },
  });

  // Whoever has the old certificate: in the old epoch, in a new one, too early; and its own relay, until it has another.
  const [mark] = await world.log.query<{ hash: Buffer }>('select hash from log_watermarks where producer = $1', [name]);
  const batch = { producer: name, epoch: 1, first: 4, previous: mark!.hash.toString('base64url'), entries: [entry()] };
  const refused = async (over: Partial<AuditBatch>, by: Signer, reason: string) => {
    const count = async () => (await quarantined()).filter((one) => one === reason).length;
    const already = await count();
    await service.bus.queue('audit').add({ v: 2, batch: await signed({ ...batch, ...over }, by) });
    await until(async () => (await count()) > already, reason);
  };
  await refused({}, stolen, 'certificate_withdrawn');
  await refused({ epoch: 2, first: 1 }, stolen, 'certificate_withdrawn');
  await refused({ first: 9 }, stolen, 'certificate_withdrawn');
  const after = did(2);
  await commit(after);
  // A certificate's time is in seconds, and must begin after the closing.
  await sleep(1_100);
  const notBefore = new Date();
  const fresh = await world.server.authority.issue(name, { notBefore });
  await refused({}, fresh, 'epoch_closed');
  await refused({ first: 9 }, fresh, 'epoch_closed');
  expect(await held()).toEqual(ids(before));
  // The relay has one only now: in its new epoch, what else comes of the old one is a fork.
  await world.server.authority.issue(name, { into: dirname(service.paths.cert), notBefore });
  await until(async () => (await heldIds(world, name)).length === 5, 'it goes on in a new epoch');
  expect(await held()).toEqual(ids([...before, ...after]));

  const auditor = await world.caller();
  const listed = (await auditor.get(`${url}/v1/events?workload=${name}`)).body as { events: AuditEvent[] };
  expect(ids(listed.events)).toEqual(ids([...before, ...after]));
  const { body } = await auditor.get(`${url}/v1/log/producers`);
  expect(body['producers']).toContainEqual(
    expect.objectContaining({
      producer: name,
      held: [
        { epoch: 1, first: 1, last: 3 },
        { epoch: 2, first: 1, last: 3 },
      ],
      closed: expect.objectContaining({ epoch: 1, seq: 3 }),
      gaps: [],
    }),
  );
  const logged = () => auditor.get(`${url}/v1/events?action=producer.closed&outcome=success`);
  await until(
    async () => ((await logged()).body as { events: unknown[] }).events.length === 1,
    'the closing is in the log',
  );
  expect((await logged()).body).toMatchObject({
    events: [{ reason: 'compromised', resource: { type: 'producer', id: name }, details: { epoch: 1, seq: 3 } }],
  });
});

const thumbprintOf = (pem: string): string =>
  createHash('sha256').update(new X509Certificate(pem).raw).digest('base64url');
