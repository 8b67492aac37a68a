import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { parseVerifier, openCheckpoint } from '@postern/transparency';
import type { LokiStream } from '../src/forwarders/targets/loki.ts';
import { identityEvent, linesOf, openForwardingLog, type ForwardingLog } from './forwarding-log.ts';
import type { Receiver } from './receiver.ts';
import { event, until } from './world.ts';

let opened: ForwardingLog;
let world: ForwardingLog['world'];
let sinkUrl: ForwardingLog['sinkUrl'];
let commit: ForwardingLog['commit'];
let receiver: ForwardingLog['receiver'];
let forwarding: ForwardingLog['forwarding'];

beforeAll(async () => {
  opened = await openForwardingLog();
  ({ world, sinkUrl, commit, receiver, forwarding } = opened);
});
afterEach(() => opened.end());
afterAll(() => opened?.close());

test("Loki is sent every event once, under the seed's labels, with its leaf and a signed checkpoint", async () => {
  const loki = await receiver(() => ({ status: 204 }));
  await forwarding([{ kind: 'loki', name: 'loki-all', url: loki.url, orgId: 'acme' }]);
  const events = [event(), identityEvent(), event({ outcome: 'failed', reason: 'unreadable' }), event()];
  await commit(events);
  await until(() => events.every(({ id }) => linesOf(loki).some((line) => line['id'] === id)), 'all were sent');
  const own = linesOf(loki).filter(({ id }) => events.some((one) => one.id === id));
  expect(own.map(({ id }) => id).toSorted()).toEqual(events.map(({ id }) => id).toSorted());
  const { path, headers, body } = loki.received.find((one) => one.body.includes('LOGIN_ERROR'))!;
  expect({ path, org: headers['x-scope-orgid'] }).toEqual({ path: '/loki/api/v1/push', org: 'acme' });
  const streams = (JSON.parse(body) as { streams: LokiStream[] }).streams.map(({ stream }) => stream);
  expect(streams).toContainEqual({ job: 'keycloak', realm: 'acme', event_type: 'LOGIN_ERROR', success: 'false' });
  const auditor = await world.caller();
  const verifier = parseVerifier((await auditor.get(`${sinkUrl}/v1/log/key`, null)).text.trim());
  const receipt = await auditor.get(`${sinkUrl}/v1/events/${events[0]!.id}/receipt`);
  const first = own.find(({ id }) => id === events[0]!.id)!;
  expect(first).toMatchObject({ leaf_index: receipt.body['index'] });
  const { size, root } = first['checkpoint'] as { size: number; root: string };
  expect(size).toBeGreaterThan(Number(first['leaf_index']));
  const [signed] = await world.log.query<{ note: string }>('select note from log_checkpoints where tree_size = $1', [
    size,
  ]);
  expect(openCheckpoint(signed!.note, verifier.name, [verifier]).root.toString('base64')).toBe(root);
});

const namedAfterSomebody = {
  action: 'secret.read',
  resource: { type: 'account', id: 'alice@acme.example' },
  source: { address: '203.0.113.9' },
  details: { provider: 'aws', name: 'alice@acme.example' },
} as const;

test('nothing personal leaves, but to a target that has declared erasure (R28)', async () => {
  const [plain, erasing] = [await receiver(), await receiver()];
  await forwarding([
    { kind: 'loki', name: 'loki-plain', url: plain.url, from: 'now' },
    { kind: 'loki', name: 'loki-erasing', url: erasing.url, from: 'now', erasure: { withinDays: 30 } },
  ]);
  await until(
    async () => (await world.log.query("select 1 from forwarder_cursors where forwarder = 'loki-erasing'")).length > 0,
    'both have begun',
  );
  const [one, record] = [identityEvent(), event(namedAfterSomebody)];
  await commit([one, record]);
  const has = (at: Receiver) => linesOf(at).some(({ id }) => id === record.id);
  await until(() => has(plain) && has(erasing), 'both were told');
  const sent = plain.received.map(({ body }) => body).join('');
  for (const personal of ['alice', 'u-1', 's-1', '203.0.113']) expect(sent).not.toContain(personal);
  expect(linesOf(erasing).find(({ id }) => id === one.id)).toMatchObject({
    username: 'alice@acme.example',
    ip_address: '203.0.113.42',
    user_id: 'u-1',
    session_id: 's-1',
    client_id: 'app',
  });
});

test('a filter is kept: actions, outcomes and tenants', async () => {
  const otlp = await receiver();
  const filter = { actions: ['record.read'], outcomes: ['failed'], tenants: ['acme'] };
  await forwarding([{ kind: 'otlp', name: 'otlp-some', url: otlp.url, filter, from: 'now' }]);
  await until(
    async () => (await world.log.query("select 1 from forwarder_cursors where forwarder = 'otlp-some'")).length > 0,
    'it has begun',
  );
  const wanted = event({ outcome: 'failed', reason: 'unreadable', trace: 'a'.repeat(32) });
  const last = event({ outcome: 'failed', reason: 'unreadable' });
  await commit([event(), event({ outcome: 'failed', tenant: 'globex' }), wanted, identityEvent(), last]);
  await until(
    () => [wanted, last].every(({ id }) => otlp.received.some(({ body }) => body.includes(id))),
    'both were sent',
  );
  type Logs = { resourceLogs: { scopeLogs: { logRecords: Record<string, unknown>[] }[] }[] };
  const records = otlp.received
    .flatMap(({ body }) => (JSON.parse(body) as Logs).resourceLogs)
    .flatMap(({ scopeLogs }) => scopeLogs.flatMap(({ logRecords }) => logRecords));
  const ids = records.map(
    ({ attributes }) => JSON.stringify(attributes).match(/"event.id","value":{"stringValue":"([^"]+)/)?.[1],
  );
  expect(ids.toSorted()).toEqual([wanted.id, last.id].toSorted());
  expect(otlp.received[0]?.path).toBe('/v1/logs');
  const traced = records.filter(({ traceId }) => traceId === 'a'.repeat(32));
  expect(traced).toMatchObject([{ severityText: 'ERROR', eventName: 'record.read' }]);
});
