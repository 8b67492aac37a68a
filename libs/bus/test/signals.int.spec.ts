import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { signAsWorkload } from '@postern/mtls';
import { queryIn } from '@postern/postgres';
import { createRegistry, silentLogger } from '@postern/runtime';
import { developmentCa, fixedTls, postgresForTests, redisForTests, type RedisPair } from '@postern/testing';
import {
  busAcl,
  emitSignal,
  openBus,
  signalQueue,
  startSignals,
  type Bus,
  type SignalHandlers,
  type SignalTypes,
} from '../src/index.ts';
import { sendDue } from '../src/signals/send-signals.ts';
import { busDatabase, until, workloads, type BusDatabase } from './world.ts';

const name = z.strictObject({ name: z.string().max(20) });
const types: SignalTypes = { 'thing.changed': { from: ['token-exchange'], versions: { 1: name } } };
const later: SignalTypes = {
  'thing.changed': { from: ['token-exchange'], versions: { 1: name, 2: name.extend({ size: z.int() }) } },
};

let server: Awaited<ReturnType<typeof postgresForTests>>;
let redis: RedisPair;
let sender: BusDatabase;
let receiver: BusDatabase;
const closes: (() => Promise<void>)[] = [];
const metrics = createRegistry('crypto-store', { processMetrics: false });

beforeAll(async () => {
  [server, redis] = await Promise.all([postgresForTests(), redisForTests()]);
  [sender, receiver] = await Promise.all([busDatabase(server, 'token-exchange'), busDatabase(server, 'crypto-store')]);
});
afterAll(async () => {
  await Promise.all([sender?.close(), receiver?.close()]);
  await Promise.all([server?.close(), redis?.close()]);
});
afterEach(async () => {
  for (const close of closes.splice(0).toReversed()) await close();
  await sender.query('delete from signals_out');
  await Promise.all([receiver.query('delete from things'), receiver.query('delete from signals_in')]);
});

async function busOf(service: string): Promise<Bus> {
  const bus = await openBus({ ...(await redis.bus.user(service, busAcl(service))), service, logger: silentLogger() });
  closes.push(() => bus.close());
  return bus;
}
const certificateOf = async (service: string) => fixedTls(await developmentCa().issue(service));

async function sending(bus?: Bus) {
  const own = bus ?? (await busOf('token-exchange'));
  const signals = startSignals({
    db: sender.db,
    bus: own,
    service: 'token-exchange',
    tls: await certificateOf('token-exchange'),
    workloads,
    peers: ['crypto-store'],
    handlers: {},
    types: later,
    logger: silentLogger(),
  });
  closes.push(() => signals.close());
  return own;
}
const write: SignalHandlers['x'] = async (tx, { version, body }) => {
  await queryIn(tx)('insert into things (what) values ($1)', [`${version} ${(body as { name: string }).name}`]);
};
async function receiving(
  known = types,
  registry?: typeof metrics,
  handlers: SignalHandlers<unknown> = { 'thing.changed': write },
) {
  const signals = startSignals({
    db: receiver.db,
    bus: await busOf('crypto-store'),
    service: 'crypto-store',
    tls: await certificateOf('crypto-store'),
    workloads,
    peers: ['token-exchange', 'key-proxy'],
    handlers,
    types: known,
    logger: silentLogger(),
    ...(registry ? { metrics: registry } : {}),
  });
  closes.push(() => signals.close());
}
const emit = (version: number, body: Record<string, unknown>) =>
  sender.db
    .transaction()
    .execute((tx) => emitSignal(queryIn(tx), { to: 'crypto-store', type: 'thing.changed', version, body }, later));
const waiting = () => sender.query<{ id: string; attempts: number }>('select id, attempts from signals_out');
const refusals = async () => {
  const counter = await metrics.getSingleMetric('postern_signals_total')?.get();
  return (counter?.values ?? []).flatMap(({ labels, value }) =>
    labels['result'] === 'refused' ? [`${labels['type']} ${value}`] : [],
  );
};

test('a signal stands or falls with its transaction, has its effect once, and is forgotten when it was taken (R21)', async () => {
  await receiving();
  await sending();
  await expect(
    sender.db.transaction().execute(async (tx) => {
      await emitSignal(
        queryIn(tx),
        { to: 'crypto-store', type: 'thing.changed', version: 1, body: { name: 'no' } },
        types,
      );
      throw new Error('undo');
    }),
  ).rejects.toThrow('undo');
  await emit(1, { name: 'yes' });
  await until(async () => (await waiting()).length === 0, 'the signal was taken');
  expect(await receiver.things()).toEqual(['1 yes']);
});

test('a signal that Redis loses comes again; one that comes twice has one effect (R21, R33)', async () => {
  const bus = await sending();
  await emit(1, { name: 'lost' });
  await until(async () => (await bus.queue(signalQueue('crypto-store')).depth()) > 0, 'it is on the bus');
  await redis.bus.asAdmin((client) => client.flushDb());
  await receiving();
  await sender.query('update signals_out set next_at = now()');
  await until(async () => (await receiver.things()).length === 1, 'it came');
  const [held] = await receiver.query<{ id: string }>('select id from signals_in order by received_at desc');
  await sender.query(
    `insert into signals_out (id, recipient, type, version, body) values ($1, 'crypto-store', 'thing.changed', 1, '{"name":"lost"}')
     on conflict (id) do update set next_at = now()`,
    [held?.id],
  );
  await until(async () => (await waiting()).length === 0, 'it was taken again');
  expect(await receiver.things()).toEqual(['1 lost']);
});

test('a version that this release does not know is parked and has its effect under the release that does', async () => {
  await receiving();
  await sending();
  await emit(2, { name: 'new', size: 3 });
  const parked = () => receiver.query('select 1 from signals_in where parked is not null');
  await until(async () => (await parked()).length === 1, 'it is parked');
  expect(await receiver.things()).toEqual([]);
  expect(await waiting()).toHaveLength(1);
  await closes.splice(0, 2).reduce((before, close) => before.then(close), Promise.resolve());
  // The release that knows it took long to come; that it was taken is known as long as of any other.
  await receiver.query(`update signals_in set received_at = now() - interval '30 days'`);
  await receiving(later);
  await until(async () => (await waiting()).length === 0, 'it was taken');
  expect(await receiver.things()).toEqual(['2 new']);
  const fresh = `select 1 from signals_in where type = 'thing.changed' and received_at > now() - interval '1 day'`;
  expect(await receiver.query(fresh)).toHaveLength(1);
  expect(await parked()).toEqual([]);
});

test('a signal that cannot be sent keeps none of those after it waiting', async () => {
  const bus = await busOf('token-exchange');
  const tls = await certificateOf('token-exchange');
  await sender.query(
    `insert into signals_out (id, recipient, type, version, body, next_at) values
       (gen_random_uuid(), 'no:service', 'thing.changed', 1, '{}', now() - interval '1 minute')`,
  );
  await emit(1, { name: 'after' });
  const round = sendDue(sender.query, { bus, tls, service: 'token-exchange', now: () => new Date() });
  await expect(round).rejects.toThrow('that is no name of a service');
  expect(await bus.queue(signalQueue('crypto-store')).depth()).toBe(1);
  await receiving();
  await until(async () => (await receiver.things()).length === 1, 'it came');
});

test('a parked signal whose handler fails keeps none of those after it waiting', async () => {
  await sending();
  await receiving();
  await emit(2, { name: 'bad', size: 1 });
  await emit(2, { name: 'good', size: 2 });
  const parked = () => receiver.query('select 1 from signals_in where parked is not null order by received_at');
  await until(async () => (await parked()).length === 2, 'both are parked');
  await closes
    .splice(0)
    .toReversed()
    .reduce((before, close) => before.then(close), Promise.resolve());
  await receiver.query(`update signals_in set received_at = now() - interval '1 hour' where parked->>'name' = 'bad'`);
  await receiving(later, undefined, {
    'thing.changed': (tx, signal) =>
      (signal.body as { name: string }).name === 'bad' ? Promise.reject(new Error('not now')) : write(tx, signal),
  });
  await until(async () => (await receiver.things()).length === 1, 'the good one had its effect');
  expect(await receiver.things()).toEqual(['2 good']);
  expect(await parked()).toHaveLength(1);
});

const signalOf = (over: Record<string, unknown> = {}) => ({
  v: 1,
  id: crypto.randomUUID(),
  from: 'token-exchange',
  to: 'crypto-store',
  type: 'thing.changed',
  version: 1,
  at: new Date().toISOString(),
  body: { name: 'forged' },
  ...over,
});
const signed = async (over: Record<string, unknown>, by = 'token-exchange', typ = 'postern-signal+jws') =>
  signAsWorkload(typ, JSON.stringify(signalOf(over)), (await certificateOf(by)).current());

test.each<[string, string, () => Promise<unknown>]>([
  ['in no shape of a signal', 'job_shape', async () => ({ forged: true })],
  ['not signed', 'not_signed', async () => 'not a signature'],
  ['signed by another workload', 'another_workload', () => signed({}, 'key-proxy')],
  ['signed as another kind of thing', 'header', () => signed({}, 'token-exchange', 'postern-audit-batch+jws')],
  ['altered after it was signed', 'signature', async () => altered(await signed({}))],
  ['to another service', 'signal_misdirected', () => signed({ to: 'key-proxy' })],
  ['said to be from another', 'signal_misdirected', () => signed({ from: 'key-proxy' })],
  ['signed long ago', 'signal_too_old', () => signed({ at: '2020-01-01T00:00:00.000Z' })],
  ['with a body that breaks its schema', 'signal_body', () => signed({ body: { name: 1 } })],
  ['without a known envelope', 'signal_shape', () => signed({ v: 2 })],
])('a signal %s changes nothing and is counted as %s (R21)', async (_what, reason, forged) => {
  metrics.clear();
  await receiving(types, metrics);
  const bus = await busOf('token-exchange');
  const made = await forged();
  await bus.queue(signalQueue('crypto-store')).add(typeof made === 'string' ? { v: 1, signal: made } : made);
  await until(async () => (await refusals()).length > 0, 'it was refused');
  expect(await refusals()).toEqual([`${reason} 1`]);
  expect(await receiver.things()).toEqual([]);
});

test('a workload that may not send a type is refused, though it signs with its own name (R21)', async () => {
  metrics.clear();
  await receiving(types, metrics);
  const bus = await busOf('key-proxy');
  await bus.queue(signalQueue('crypto-store')).add({ v: 1, signal: await signed({ from: 'key-proxy' }, 'key-proxy') });
  await until(async () => (await refusals()).length > 0, 'it was refused');
  expect(await refusals()).toEqual(['signal_not_allowed 1']);
  expect(await receiver.things()).toEqual([]);
});

/** The same with another body under the old signature. */
function altered(jws: string): string {
  const [header, payload = '', signature] = jws.split('.');
  const read = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { body: unknown };
  const other = Buffer.from(JSON.stringify({ ...read, body: { name: 'other' } })).toString('base64url');
  return `${header}.${other}.${signature}`;
}
