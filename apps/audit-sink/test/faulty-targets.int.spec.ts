import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { alarmsTo, linesOf, openForwardingLog, type ForwardingLog } from './forwarding-log.ts';
import { event, until } from './world.ts';

let opened: ForwardingLog;
let world: ForwardingLog['world'];
let commit: ForwardingLog['commit'];
let inLog: ForwardingLog['inLog'];
let receiver: ForwardingLog['receiver'];
let forwarding: ForwardingLog['forwarding'];

beforeAll(async () => {
  opened = await openForwardingLog();
  ({ world, commit, inLog, receiver, forwarding } = opened);
});
afterEach(() => opened.end());
afterAll(() => opened?.close());

test('a target that hangs and one that fails hold up neither the log nor another target, and no transaction', async () => {
  const [hanging, failing, good] = [
    await receiver(() => 'hang'),
    await receiver(() => ({ status: 503, headers: { 'retry-after': '1' } })),
    await receiver(),
  ];
  // Something to ask them with: the log is empty before the first test.
  await commit([event()]);
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
