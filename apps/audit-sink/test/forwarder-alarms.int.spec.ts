import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createRegistry, silentLogger, systemNow } from '@postern/runtime';
import { forward } from '../src/forwarders/forward.ts';
import { forwarderMetrics } from '../src/forwarders/forwarder-metrics.ts';
import { createReadLog } from '../src/forwarders/read-log.ts';
import { LinesRefused, TargetAway, type Target } from '../src/forwarders/targets/target.ts';
import { event, heldIds, openKeys, openWorld, until, type World } from './world.ts';

let world: World;
let keys: Awaited<ReturnType<typeof openKeys>>;

beforeAll(async () => {
  world = await openWorld();
  const { url } = await world.sink();
  const producer = await world.producer();
  await producer.relay(url, 0);
  const one = event();
  await producer.audit.commit(one);
  await until(async () => (await heldIds(world)).includes(one.id), 'the log has an event');
  keys = await openKeys(world);
});
afterAll(async () => {
  keys?.close();
  await world?.close();
});

test.each([
  ['that it is stopped', 'forwarder_stopped', () => new TargetAway('status_401', { lasting: true })],
  ['what it would not take', 'forwarder_dead_letter', () => new LinesRefused('status_400')],
])('a forwarder that ends before it has told %s tells it when it starts again', async (_, kind, failure) => {
  const told: unknown[] = [];
  const say = async ({ details }: { details: Record<string, unknown> }) => {
    told.push(details['kind']);
    if (told.length === 1) throw new Error('ended before the alarm');
  };
  const audit = { within: (_tx: unknown, one: Parameters<typeof say>[0]) => say(one) };
  const target: Target = {
    oneByOne: false,
    send: async (events) => {
      if (events.length > 1 || events[0]?.event.action === 'record.read') throw failure();
    },
    close: async () => {},
  };
  const start = (stop: AbortController) => {
    const deps = {
      postgres: world.log,
      readLog: createReadLog(world.log.query, keys.subjects),
      audit,
      metrics: forwarderMetrics(createRegistry('audit-sink')),
      logger: silentLogger(),
      now: systemNow,
    };
    const one = { name: kind.replaceAll('_', '-'), target, wants: () => true, from: 'start' as const };
    return forward(deps, one, { stop: stop.signal, ended: () => stop.signal.aborted }).catch(() => {});
  };
  for (const count of [1, 2]) {
    const stop = new AbortController();
    const running = start(stop);
    await until(() => told.length >= count, 'it says so');
    stop.abort();
    await running;
  }
  expect(told).toEqual([kind, kind]);
});
