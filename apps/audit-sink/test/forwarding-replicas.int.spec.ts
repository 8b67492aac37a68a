import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { linesOf, openForwardingLog, type ForwardingLog } from './forwarding-log.ts';
import { sinkProcess, type Killable } from './processes.ts';
import type { Receiver } from './receiver.ts';
import { event, until } from './world.ts';

let opened: ForwardingLog;
let world: ForwardingLog['world'];
let closing: ForwardingLog['closing'];
let commit: ForwardingLog['commit'];
let receiver: ForwardingLog['receiver'];

beforeAll(async () => {
  opened = await openForwardingLog();
  ({ world, closing, commit, receiver } = opened);
});
afterEach(() => opened.end());
afterAll(() => opened?.close());

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
