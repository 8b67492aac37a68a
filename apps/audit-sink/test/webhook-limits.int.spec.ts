import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openEgress } from '@postern/egress';
import { openAudit } from '@postern/outbox';
import { queryIn } from '@postern/postgres';
import { createRegistry, silentLogger, systemNow } from '@postern/runtime';
import { forwarderMetrics } from '../src/forwarders/forwarder-metrics.ts';
import { createReadLog } from '../src/forwarders/read-log.ts';
import { runWebhooks } from '../src/forwarders/webhooks/run-webhooks.ts';
import { createSubscription, newKey } from '../src/forwarders/webhooks/subscriptions.ts';
import { openReceiver, type Receiver } from './receiver.ts';
import { webhookCalls, type WebhookCall } from './webhook-calls.ts';
import { openKeys, openWorld, until, type World } from './world.ts';

let world: World;
let call: WebhookCall;
let receiver: Receiver;

/** Connections of the replica that answers. */
const POOL = 4;

/** The routes alone: what is sent is sent by a test. */
beforeAll(async () => {
  world = await openWorld();
  receiver = await openReceiver(world);
  const webhooks = { allow: [receiver.host], publicAddresses: true };
  const documents = await world.documents({ forwarders: { webhooks } });
  const { url } = await world.sink({ ...documents, POSTERN_ROLE: 'api', POSTERN_POSTGRES_POOL_SIZE: String(POOL) });
  call = webhookCalls(url, await world.caller());
});
afterAll(async () => {
  await world?.close();
  await receiver?.close();
});

/** Makes calls that all come to where one webhook of a tenant is made at a time, before any is; `held` of them hold a connection. */
async function together<T>(tenant: string, calls: readonly (() => Promise<T>)[], held: number): Promise<T[]> {
  const waiting = `select 1 from pg_stat_activity where datname = current_database() and wait_event = 'advisory'`;
  const { asked } = await world.log.db.transaction().execute(async (tx) => {
    await queryIn(tx)('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`webhooks of ${tenant}`]);
    const made = calls.map((one) => one());
    await until(async () => (await world.asOwner(waiting)).rowCount === held, 'they wait');
    return { asked: made };
  });
  return Promise.all(asked);
}

test('the same create that comes twice at once makes one webhook, and each is told of it', async () => {
  const headers = { 'idempotency-key': randomUUID() };
  const body = { url: `${receiver.url}/twice`, types: ['alert'] };
  const create = () => call('POST', '/v1/webhooks', { body, headers });
  const [one, other] = await together('acme', [create, create], 2);
  expect([one?.status, other?.status]).toEqual([201, 201]);
  expect(one?.body['id']).toBe(other?.body['id']);
  expect([one, other].filter((answer) => answer?.body['secret'] !== undefined)).toHaveLength(1);
});

test('as many creates of a tenant at once as the replica has connections wait for none of them', async () => {
  const body = { url: `${receiver.url}/many`, types: ['alert'] };
  const create = () => call('POST', '/v1/webhooks', { body, tenant: 'new-here' });
  const created = await together(
    'new-here',
    Array.from({ length: POOL }, () => create),
    POOL,
  );
  expect(created.map(({ status }) => status)).toEqual(created.map(() => 201));
});

test('a host longer than a name may be is refused by name', async () => {
  const body = { url: `https://${'a.'.repeat(300)}example/`, types: ['alert'] };
  const { status, body: answer } = await call('POST', '/v1/webhooks', { body });
  expect(status).toBe(400);
  expect(answer['errors']).toMatchObject([{ field: 'body.url' }]);
});

test('a list goes on only behind a delivery of its own webhook: behind another it would end early, and say nothing', async () => {
  const hook = await call('POST', '/v1/webhooks', { body: { url: `${receiver.url}/lists`, types: ['alert'] } });
  const other = await call('POST', '/v1/webhooks', { body: { url: `${receiver.url}/other`, types: ['alert'] } });
  const path = `/v1/webhooks/${String(hook.body['id'])}`;
  const own = await call('POST', `${path}/test`);
  const elsewhere = await call('POST', `/v1/webhooks/${String(other.body['id'])}/test`);
  const behind = (id: unknown) => call('GET', `${path}/deliveries?after=${String(id)}`);
  expect(await behind(own.body['delivery'])).toMatchObject({ status: 200, body: { deliveries: [] } });
  for (const id of [elsewhere.body['delivery'], `msg_${randomUUID()}`]) {
    expect(await behind(id)).toMatchObject({ status: 400, body: { errors: [{ field: 'query.after' }] } });
  }
});

const HANGING = { tenants: 16, webhooks: 4, deliveries: 2 };
/** What is under way at a time, of all (`run-webhooks.ts`). */
const AT_ONCE = 32;

test("receivers of other tenants that hang, with much that waits for them, do not hold up a tenant's own", async () => {
  const { keys, subjects, close } = await openKeys(world);
  const attempts = `select coalesce(sum(attempts), 0)::int as made from webhook_deliveries`;
  let made: number | undefined;
  const quick = await openReceiver(world, async () => {
    made ??= (await world.log.query<{ made: number }>(attempts))[0]!.made;
    return { status: 204 };
  });
  const egressRules = { allow: [receiver.host, quick.host], publicAddresses: false };
  const subscribe = async (tenant: string, at: Receiver, deliveries: number, due: string) => {
    const asked = { tenant, url: at.url, types: ['alert'] as const, signature: 'hmac-sha256' as const };
    const key = await newKey(keys, asked);
    const made = { ...asked, key, now: systemNow(), idempotency: null };
    const { subscription } = await createSubscription({ query: world.log.query, egressRules }, made);
    await world.log.query(
      `insert into webhook_deliveries (id, subscription, type, body, state, next_attempt_at, created_at)
       select 'msg_' || gen_random_uuid(), $1, 'webhook.test', '{}', 'pending', now() - $3::interval, now()
       from generate_series(1, $2)`,
      [subscription.id, deliveries, due],
    );
  };
  for (let tenant = 0; tenant < HANGING.tenants; tenant += 1) {
    for (let i = 0; i < HANGING.webhooks; i += 1)
      await subscribe(`slow-${tenant}`, receiver, HANGING.deliveries, '1 hour');
  }
  await subscribe('quick', quick, 1, '1 minute');
  receiver.answers(() => 'hang');
  const logger = silentLogger();
  const audit = await openAudit({ postgres: world.log, producer: 'audit-sink', logger });
  const egress = openEgress({ ...egressRules, listedAuthorities: () => receiver.ca, timeoutMs: 1_000 });
  const stop = new AbortController();
  const metrics = forwarderMetrics(createRegistry('audit-sink'));
  const readLog = createReadLog(world.log.query, subjects);
  const running = runWebhooks(
    { postgres: world.log, readLog, keys, audit, metrics, egress, logger, now: systemNow },
    { stop: stop.signal, ended: () => stop.signal.aborted },
  );
  await until(() => made !== undefined, 'the quick one was told');
  // All places were taken, and it had one of the first that became free.
  expect(made).toBeLessThan(2 * AT_ONCE);
  stop.abort();
  await running;
  await egress.close();
  await audit.close();
  await quick.close();
  close();
});
