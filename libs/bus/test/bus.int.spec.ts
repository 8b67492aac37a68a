import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from 'redis';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { redisTls } from '@postern/mtls';
import { createRegistry, metricsText, silentLogger } from '@postern/runtime';
import { redisForTests, type RedisPair } from '@postern/testing';
import { busAcl, JobRefused, openBus, type Bus } from '../src/index.ts';

const logger = silentLogger();
let redis: RedisPair;
const buses: Bus[] = [];

beforeAll(async () => {
  redis = await redisForTests();
});
afterAll(async () => {
  await Promise.all(buses.map((bus) => bus.close()));
  await redis?.close();
});

const userOf = (service: string) => redis.bus.user(service, busAcl(service));

async function busOf(service: string): Promise<Bus> {
  const bus = await openBus({ ...(await userOf(service)), service, logger });
  buses.push(bus);
  return bus;
}
async function until(condition: () => boolean, ms = 120_000): Promise<void> {
  for (const end = Date.now() + ms; !condition(); await sleep(20))
    if (Date.now() > end) throw new Error('it did not come');
}

test("a job reaches the service that empties the queue, each side under its own Redis user's rules (R21)", async () => {
  const [producer, sink] = [await busOf('crypto-store'), await busOf('audit-sink')];
  const seen: unknown[] = [];
  sink.worker({ queue: 'audit', of: 'crypto-store' }, async (payload) => void seen.push(payload));
  await producer.check();
  for (let n = 0; n < 20; n += 1) await producer.queue('audit').add({ n });
  await until(() => seen.length === 20);
  expect(seen).toEqual(Array.from({ length: 20 }, (_, n) => ({ n })));
});

test('a scrape says how full a queue is, and that this Redis keeps what it is given', async () => {
  const metrics = createRegistry('auth-manager', { processMetrics: false });
  const bus = await openBus({ ...(await userOf('auth-manager')), service: 'auth-manager', logger, metrics });
  buses.push(bus);
  await bus.queue('jobs').add({});
  await bus.queue('jobs').add({});
  const { text } = await metricsText(metrics);
  expect(text).toContain('postern_bus_queue_jobs{queue="jobs",service="auth-manager"} 2');
  expect(text.match(/^postern_bus_setting_unsafe\{.*\} 0$/gm)).toHaveLength(2);
});

test('a failing handler is tried again; a refused job is not', async () => {
  const bus = await busOf('key-proxy');
  const tries: string[] = [];
  bus.worker({ queue: 'jobs' }, async (payload, { attempt }) => {
    const { kind } = payload as { kind: string };
    tries.push(`${kind} ${attempt}`);
    if (kind === 'refused') throw new JobRefused('not_signed');
    if (attempt < 2) throw new Error('once more');
  });
  await bus.queue('jobs').add({ kind: 'refused' });
  await bus.queue('jobs').add({ kind: 'flaky' });
  await until(() => tries.includes('flaky 2'));
  expect(tries.filter((entry) => entry.startsWith('refused'))).toEqual(['refused 1']);
});

test.each([
  ['read', ['HGETALL', 'postern:crypto-store:audit:meta']],
  ['write', ['SET', 'postern:crypto-store:audit:1', 'x']],
  ['read by a script that names the key itself', ['EVAL', "return redis.call('get', 'postern:crypto-store:x')", '0']],
  ['list keys', ['KEYS', '*']],
  ['scan', ['SCAN', '0']],
  ['flush', ['FLUSHDB']],
  ['configure', ['CONFIG', 'GET', '*']],
  ['grant itself more', ['ACL', 'SETUSER', 'key-proxy', '~*']],
  ['publish', ['PUBLISH', 'x', 'y']],
  ['use functions', ['FUNCTION', 'LIST']],
  ['see others', ['CLIENT', 'LIST']],
])("a service's user has no way to %s beyond its own prefix (R21)", async (_what, command) => {
  const { url, password, tls } = await userOf('key-proxy');
  const { hostname, port, username } = new URL(url);
  const client = createClient({
    username: decodeURIComponent(username),
    password,
    socket: { host: hostname, port: Number(port), ...redisTls(tls, hostname) },
  });
  client.on('error', () => {});
  await client.connect();
  try {
    await expect(client.sendCommand(command)).rejects.toThrow(/NOPERM|No permissions|can't access/i);
  } finally {
    client.destroy();
  }
});

test('a name that could reach under another prefix is refused', async () => {
  expect(() => busAcl('*')).toThrow(TypeError);
  expect(() => busAcl('crypto-store:audit')).toThrow(TypeError);
  const bus = await busOf('auth-manager');
  expect(() => bus.queue('audit:x')).toThrow(TypeError);
});

test('a rotated certificate is taken up without losing a job', async () => {
  const service = 'token-exchange';
  const user = await userOf(service);
  const leaf = await redis.bus.authority.issue(service);
  let rotated: (() => void) | undefined;
  let files = user.tls.current();
  const tls = {
    current: () => files,
    onChange: (listener: (next: typeof files) => void) => {
      rotated = () => listener(files);
      return () => {};
    },
    close: () => {},
  };
  const bus = await openBus({ ...user, tls, service, logger });
  buses.push(bus);
  const seen = new Set<number>();
  bus.worker({ queue: 'jobs' }, async (payload) => {
    await sleep(5);
    seen.add((payload as { n: number }).n);
  });
  for (let n = 0; n < 60; n += 1) {
    if (n === 20) {
      files = { ...files, cert: leaf.cert, key: leaf.key };
      rotated?.();
    }
    await bus.queue('jobs').add({ n });
  }
  await until(() => seen.size === 60);
});

test('a flushed Redis loses jobs but not the workers: the next job arrives (R21)', async () => {
  const bus = await busOf('crypto-store');
  const seen: unknown[] = [];
  bus.worker({ queue: 'jobs' }, async (payload) => void seen.push(payload));
  await bus.queue('jobs').add(1);
  await until(() => seen.length === 1);
  await redis.bus.asAdmin((client) => client.flushDb());
  await bus.queue('jobs').add(2);
  await until(() => seen.length === 2);
});
