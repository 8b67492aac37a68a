import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { newEvent, type AuditEvent } from '@postern/audit';
import { parseVerifier, openCheckpoint } from '@postern/transparency';
import type { LokiStream } from '../src/forwarders/targets/loki.ts';
import { openReceiver, type Receiver } from './receiver.ts';
import { sinkProcess, type Killable } from './processes.ts';
import { event, heldIds, openWorld, until, type World } from './world.ts';

let world: World;
let producer: Awaited<ReturnType<World['producer']>>;
let sinkUrl: string;
const closing: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  world = await openWorld();
  const sink = await world.sink();
  sinkUrl = sink.url;
  producer = await world.producer();
  await producer.relay(sinkUrl, 0);
});
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});
afterAll(async () => {
  await world?.close();
});

const commit = async (events: AuditEvent[]) => {
  for (const one of events) await producer.audit.commit(one);
};
const inLog = (events: AuditEvent[]) =>
  until(async () => {
    const held = new Set(await heldIds(world));
    return events.every(({ id }) => held.has(id));
  }, 'the events are in the log');

async function receiver(answer?: Parameters<typeof openReceiver>[1]): Promise<Receiver> {
  const opened = await openReceiver(world, answer);
  closing.push(opened.close);
  return opened;
}

/** Another replica of the sink, that forwards to these targets until the test ends. */
async function forwarding(targets: object[]) {
  const replica = await world.sink({ ...(await world.documents({ forwarders: { targets } })) });
  closing.push(replica.close);
  return replica;
}

const linesOf = ({ received }: Receiver): Record<string, unknown>[] =>
  received
    .flatMap(({ body }) => (JSON.parse(body) as { streams: LokiStream[] }).streams)
    .flatMap(({ values }) => values.map(([, line]) => JSON.parse(line) as Record<string, unknown>))
    .toSorted((a, b) => Number(a['leaf_index']) - Number(b['leaf_index']));

const alarmsTo = ({ url }: Receiver, name: string) => ({
  kind: 'loki',
  name,
  url,
  filter: { actions: ['alarm.raised'] },
});

const identityEvent = () =>
  newEvent(
    {
      action: 'identity.user_event',
      outcome: 'failed',
      reason: 'invalid_user_credentials',
      tenant: 'acme',
      actor: { person: { issuer: 'https://idp.example/realms/acme', sub: 'u-1' }, client: 'app' },
      source: { address: '203.0.113.42' },
      details: { realm: 'acme', type: 'LOGIN_ERROR', eventId: 'e-1', username: 'alice@acme.example', session: 's-1' },
    },
    new Date(),
  );

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

test('a target that hangs and one that fails hold up neither the log nor another target, and no transaction', async () => {
  const [hanging, failing, good] = [
    await receiver(() => 'hang'),
    await receiver(() => ({ status: 503, headers: { 'retry-after': '1' } })),
    await receiver(),
  ];
  await forwarding([
    { kind: 'loki', name: 'hangs', url: hanging.url },
    { kind: 'loki', name: 'fails', url: failing.url },
    { kind: 'loki', name: 'works', url: good.url },
  ]);
  await until(() => hanging.received.length > 0 && failing.received.length > 0, 'both were asked');
  const events = Array.from({ length: 50 }, () => event());
  await commit(events);
  await inLog(events);
  await until(() => linesOf(good).some(({ id }) => id === events.at(-1)!.id), 'the good one was told');
  const open = `select 1 from pg_stat_activity where application_name = 'audit-sink forwarders' and state like 'idle in transaction%'`;
  // A cursor that moves this very moment is in one; the two that wait for an answer stay as they are.
  await until(
    async () => (await world.server.asAdmin((admin) => admin.query(open))).rows.length === 0,
    'none is in a transaction',
  );
  const cursors = await world.log.query<{ forwarder: string; next_index: string }>(
    `select forwarder, next_index from forwarder_cursors where forwarder in ('hangs', 'fails')`,
  );
  expect(cursors.map(({ next_index }) => next_index)).toEqual(['0', '0']);
});

test('an event that a target will not take is put aside, told and passed over; those beside it are sent', async () => {
  const poison = event();
  const loki = await receiver(({ body }) => ({ status: body.includes(poison.id) ? 400 : 204 }));
  const told = await receiver();
  await forwarding([{ kind: 'loki', name: 'picky', url: loki.url }, alarmsTo(told, 'picky-alarms')]);
  const [before, after] = [event(), event()];
  await commit([before, poison, after]);
  await until(() => linesOf(loki).some(({ id }) => id === after.id), 'the one after was sent');
  const dead = () => world.log.query("select event_id, reason from forwarder_dead_letters where forwarder = 'picky'");
  await until(async () => (await dead()).length > 0, 'it is put aside');
  expect(await dead()).toEqual([{ event_id: poison.id, reason: 'status_400' }]);
  await until(() => linesOf(told).length > 0, 'the alarm is in the log');
  expect(linesOf(told)).toMatchObject([{ details: { kind: 'forwarder_dead_letter', about: 'picky', count: 1 } }]);
});

test('an event that somebody altered is put aside, told and passed over; what is behind it is sent', async () => {
  const [altered, after] = [event(), event()];
  for (const one of [altered, after]) {
    await commit([one]);
    await inLog([one]);
  }
  await world.asOwner(
    `update log_events set sealed = set_byte(sealed, 20, get_byte(sealed, 20) # 1) where event_id = '${altered.id}'`,
  );
  const [loki, told] = [await receiver(), await receiver()];
  await forwarding([{ kind: 'loki', name: 'behind', url: loki.url }, alarmsTo(told, 'behind-alarms')]);
  await until(() => linesOf(loki).some(({ id }) => id === after.id), 'the one after was sent');
  const dead = () => world.log.query("select event_id, reason from forwarder_dead_letters where forwarder = 'behind'");
  await until(async () => (await dead()).length > 0, 'it is put aside');
  expect(await dead()).toEqual([{ event_id: altered.id, reason: 'content_altered' }]);
  const aboutIt = () => linesOf(told).filter(({ details }) => (details as { about: string }).about === 'behind');
  await until(() => aboutIt().length > 0, 'the alarm is in the log');
  await world.asOwner(
    `update log_events set sealed = set_byte(sealed, 20, get_byte(sealed, 20) # 1) where event_id = '${altered.id}'`,
  );
});

test('a webhook that takes only so many at a time is sent the rest, and none of them again', async () => {
  const due = Array.from({ length: 7 }, () => event({ action: 'rotation.due', details: { provider: 'aws' } }));
  await commit(due);
  await inLog(due);
  let asked = 0;
  const hook = await receiver(() => ((asked += 1) % 4 === 0 ? { status: 429 } : { status: 204 }));
  const secretPath = await world.file(`whsec_${'A'.repeat(43)}=`);
  await forwarding([{ kind: 'webhook', name: 'limited', url: hook.url, secretPath, types: ['rotation.due'] }]);
  const taken = () => hook.received.filter((_, i) => (i + 1) % 4 !== 0).map(({ headers }) => headers['webhook-id']);
  await until(() => taken().length >= due.length, 'it took as many as there are');
  expect(taken()).toEqual(due.map(({ id }) => `msg_${id}`));
});

test('a target that refuses us is stopped and told once, gives up nothing, and goes on when it takes us again', async () => {
  const loki = await receiver(() => ({ status: 401 }));
  const replica = await forwarding([{ kind: 'loki', name: 'locked', url: loki.url, from: 'now' }]);
  const one = event();
  await until(
    async () => (await world.log.query("select 1 from forwarder_cursors where forwarder = 'locked'")).length > 0,
    'it has begun',
  );
  await commit([one]);
  const stopped = () => world.log.query("select stopped from forwarder_cursors where forwarder = 'locked'");
  await until(async () => JSON.stringify(await stopped()).includes('status_401'), 'it is stopped');
  const metrics = async () => (await fetch(`${replica.urls.management}/metrics`)).text();
  expect(await metrics()).toContain('postern_forwarder_stopped{forwarder="locked",service="audit-sink"} 1');
  loki.answers(() => ({ status: 204 }));
  // Another start: nobody waits out the pause in a test.
  await replica.close();
  const told = await receiver();
  await forwarding([{ kind: 'loki', name: 'locked', url: loki.url }, alarmsTo(told, 'locked-alarms')]);
  await until(() => loki.received.length > 1 && linesOf(loki).some(({ id }) => id === one.id), 'it was sent');
  await until(async () => JSON.stringify(await stopped()) === '[{"stopped":null}]', 'it is not stopped any more');
  const aboutIt = () => linesOf(told).filter(({ details }) => (details as { about: string }).about === 'locked');
  await until(() => aboutIt().length > 0, 'the alarm is in the log');
  expect(aboutIt()).toMatchObject([{ details: { kind: 'forwarder_stopped' } }]);
});

test('two replicas forward one at a time: nothing is sent twice', async () => {
  const loki = await receiver();
  const targets = [{ kind: 'loki', name: 'both', url: loki.url }];
  const documents = await world.documents({ forwarders: { targets } });
  const [first, second] = [await world.sink(documents), await world.sink(documents)];
  closing.push(first.close, second.close);
  const some = Array.from({ length: 10 }, () => event());
  await commit(some);
  // Whoever is closed before its cursor has moved leaves the same to the other: at least once.
  const moved = async () => {
    const last = linesOf(loki).find(({ id }) => id === some.at(-1)!.id)?.['leaf_index'] ?? null;
    const behind = "select 1 from forwarder_cursors where forwarder = 'both' and next_index > $1";
    return (await world.log.query(behind, [last])).length > 0;
  };
  await until(moved, 'they were sent, and the cursor is behind them');
  await first.close();
  const more = Array.from({ length: 10 }, () => event());
  await commit(more);
  await until(() => linesOf(loki).some(({ id }) => id === more.at(-1)!.id), 'the other took over');
  const ids = linesOf(loki).map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.filter((id) => [...some, ...more].some((one) => one.id === id))).toHaveLength(20);
});

test('killed with -9 between a target taking events and the cursor, it sends the same again, under the same ids', async () => {
  const running: { forwarder?: Killable } = {};
  let killed = false;
  const loki: Receiver = await receiver(async () => {
    // The target has taken them; the process dies before it hears so.
    if (loki.received.length === 2) {
      await running.forwarder?.kill();
      killed = true;
    }
    return { status: 204 };
  });
  const documents = await world.documents({
    forwarders: { targets: [{ kind: 'loki', name: 'killed', url: loki.url }] },
  });
  const forwarder = await sinkProcess(world, documents);
  running.forwarder = forwarder;
  closing.push(() => forwarder.kill());
  await forwarder.start();
  const ids = () => linesOf(loki).map(({ id }) => String(id));
  await until(() => ids().length > 0, 'it forwards');
  const events = Array.from({ length: 20 }, () => event());
  await commit(events);
  await until(() => killed, 'it was killed');
  const lost = ids();
  await forwarder.start();
  await until(() => loki.received.length > 2 && events.every(({ id }) => ids().includes(id)), 'all were sent');
  const again = ids().filter((id, at) => ids().indexOf(id) !== at);
  expect(again.length).toBeGreaterThan(0);
  expect(lost).toEqual(expect.arrayContaining(again));
  const lines = linesOf(loki).map((line) => JSON.stringify(line));
  expect(new Set(lines).size).toBe(new Set(ids()).size);
});
