import { createPublicKey, randomUUID, verify } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { AuditEvent } from '@postern/audit';
import { Webhook } from 'standardwebhooks';
import { openReceiver, type Received, type Receiver } from './receiver.ts';
import { webhookCalls, type WebhookCall } from './webhook-calls.ts';
import { event, openWorld, until, type World } from './world.ts';

let world: World;
let call: WebhookCall;
let producer: Awaited<ReturnType<World['producer']>>;
let receiver: Receiver;

beforeAll(async () => {
  world = await openWorld();
  receiver = await openReceiver(world);
  const webhooks = { allow: [receiver.host] };
  const { url } = await world.sink(await world.documents({ forwarders: { webhooks } }));
  producer = await world.producer('auth-manager');
  await producer.relay(url, 0);
  call = webhookCalls(url, await world.caller());
});
afterAll(async () => {
  await world?.close();
  await receiver?.close();
});

/** A webhook at a path of its own. */
async function subscribe(types: string[], more: object = {}) {
  const path = `/${randomUUID()}`;
  const { status, body } = await call('POST', '/v1/webhooks', {
    body: { url: `${receiver.url}${path}`, types, ...more },
  });
  expect(status).toBe(201);
  return {
    path,
    id: String(body['id']),
    secret: String(body['secret']),
    body,
    received: () => receiver.received.filter((one) => one.path === path),
  };
}

const headersOf = ({ headers }: Received) => ({
  'webhook-id': headers['webhook-id'] ?? '',
  'webhook-timestamp': headers['webhook-timestamp'] ?? '',
  'webhook-signature': headers['webhook-signature'] ?? '',
});

const broken = (over: Partial<AuditEvent> = {}) =>
  event({
    action: 'grant.refreshed',
    outcome: 'failed',
    reason: 'reauthorization_required',
    resource: { type: 'grant', id: '3f2c' },
    source: { address: '203.0.113.42' },
    details: { provider: 'https://idp.example/realms/acme' },
    ...over,
  });

const deliveries = async (id: string, query = ''): Promise<Record<string, unknown>[]> =>
  (await call('GET', `/v1/webhooks/${id}/deliveries${query}`)).body['deliveries'] as Record<string, unknown>[];

test('a notification arrives signed, and an independent implementation of Standard Webhooks accepts it', async () => {
  const hook = await subscribe(['grant.broken']);
  const told = broken();
  await producer.audit.commit(event());
  await producer.audit.commit(told);
  await until(() => hook.received().length > 0, 'it arrived');
  const [one] = hook.received();
  const verified = new Webhook(hook.secret).verify(one!.body, headersOf(one!)) as Record<
    string,
    Record<string, unknown>
  >;
  expect(verified).toMatchObject({
    type: 'grant.broken',
    timestamp: told.time,
    data: { id: told.id, event_type: 'grant.refreshed', error: 'reauthorization_required', resource_id: '3f2c' },
  });
  expect(verified['data']!['leaf_index']).toEqual(expect.any(Number));
  expect(verified['data']!['checkpoint']).toMatchObject({ size: expect.any(Number), root: expect.any(String) });
  for (const personal of ['alice', '203.0.113.42']) expect(one!.body).not.toContain(personal);
  expect(() => new Webhook(hook.secret).verify(`${one!.body} `, headersOf(one!))).toThrow();
  expect(hook.received()).toHaveLength(1);
  // The answer is written down a moment after it was given.
  await until(async () => (await deliveries(hook.id))[0]?.['state'] !== 'pending', 'the delivery is settled');
  const [delivery] = await deliveries(hook.id);
  expect(delivery).toMatchObject({ id: one!.headers['webhook-id'], state: 'delivered', attempts: 1, last_status: 200 });
});

test('the secret is shown once, and stands nowhere in clear', async () => {
  const headers = { 'idempotency-key': randomUUID() };
  const body = { url: `${receiver.url}/once`, types: ['alert'] };
  const first = await call('POST', '/v1/webhooks', { body, headers });
  const again = await call('POST', '/v1/webhooks', { body, headers });
  expect(first.body['secret']).toMatch(/^whsec_/);
  expect(again).toMatchObject({ status: 201, body: { id: first.body['id'] } });
  expect(again.body['secret']).toBeUndefined();
  const other = await call('POST', '/v1/webhooks', { body: { ...body, types: ['rotation.due'] }, headers });
  expect(other).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } });
  const listed = await call('GET', '/v1/webhooks');
  const [row] = await world.log.query<Record<string, unknown>>('select * from webhook_subscriptions where id = $1', [
    first.body['id'],
  ]);
  const secret = String(first.body['secret']);
  for (const place of [
    JSON.stringify(listed.body),
    JSON.stringify(row),
    String(row!['sealed_secret']),
    world.logged.join(),
  ]) {
    expect(place).not.toContain(secret);
    expect(place).not.toContain(secret.slice('whsec_'.length));
  }
});

test('after a rotation a delivery verifies under the new secret and under the old one', async () => {
  const hook = await subscribe(['grant.broken']);
  const rotated = await call('POST', `/v1/webhooks/${hook.id}/rotate-secret`);
  expect(rotated.body['secret']).not.toBe(hook.secret);
  await producer.audit.commit(broken());
  await until(() => hook.received().length > 0, 'it arrived');
  const [one] = hook.received();
  for (const secret of [hook.secret, String(rotated.body['secret'])])
    expect(new Webhook(secret).verify(one!.body, headersOf(one!))).toMatchObject({ type: 'grant.broken' });
});

test('with Ed25519 the receiver holds only the public half', async () => {
  const hook = await subscribe(['grant.broken'], { signature: 'ed25519' });
  expect(hook.body['secret']).toBeUndefined();
  await producer.audit.commit(broken());
  await until(() => hook.received().length > 0, 'it arrived');
  const [one] = hook.received();
  const { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': signature } = headersOf(one!);
  const raw = Buffer.from(String(hook.body['public_key']).replace('whpk_', ''), 'base64');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') }, format: 'jwk' });
  expect(signature).toMatch(/^v1a,/);
  const bytes = Buffer.from(signature.slice('v1a,'.length), 'base64');
  expect(verify(null, Buffer.from(`${id}.${time}.${one!.body}`), key, bytes)).toBe(true);
  expect(verify(null, Buffer.from(`${id}.${time}.${one!.body}x`), key, bytes)).toBe(false);
});

test('what fails is tried again under the same id, also when somebody asks for it', async () => {
  const hook = await subscribe(['grant.broken']);
  // Its own next attempt is not for a while, however long the test takes to ask for one.
  const busy = { status: 500, headers: { 'retry-after': '600' } };
  receiver.answers(({ path }) => (path === hook.path && hook.received().length === 1 ? busy : { status: 200 }));
  await producer.audit.commit(broken());
  await until(async () => (await deliveries(hook.id))[0]?.['last_status'] === 500, 'the first attempt failed');
  const [failed] = await deliveries(hook.id, '?state=pending');
  expect(failed).toMatchObject({ attempts: 1, last_reason: 'status_500', next_attempt_at: expect.any(String) });
  const again = await call('POST', `/v1/webhooks/${hook.id}/deliveries/${String(failed!['id'])}/redeliver`);
  expect(again.status).toBe(202);
  await until(() => hook.received().length > 1, 'it came again');
  const [first, second] = hook.received();
  expect(second!.headers['webhook-id']).toBe(first!.headers['webhook-id']);
  expect(second!.body).toBe(first!.body);
  await until(async () => (await deliveries(hook.id))[0]?.['state'] === 'delivered', 'it is delivered');
  receiver.answers(() => ({ status: 200 }));
});

test('a receiver that is gone is given up, told in the log, and goes on from there when it is resumed', async () => {
  const [hook, alerts] = [await subscribe(['grant.broken']), await subscribe(['alert'])];
  receiver.answers(({ path }) => ({ status: path === hook.path ? 410 : 200 }));
  await producer.audit.commit(broken());
  const shown = async () =>
    ((await call('GET', '/v1/webhooks')).body['webhooks'] as Record<string, unknown>[]).find(
      ({ id }) => id === hook.id,
    );
  await until(async () => (await shown())?.['stopped'] === 'gone', 'it is given up');
  await until(() => alerts.received().length > 0, 'the alert arrived');
  expect(JSON.parse(alerts.received()[0]!.body)).toMatchObject({
    type: 'alert',
    data: { event_type: 'webhook.stopped', resource_id: hook.id, details: { cause: 'gone' } },
  });
  const missed = broken();
  await producer.audit.commit(missed);
  receiver.answers(() => ({ status: 200 }));
  expect((await call('POST', `/v1/webhooks/${hook.id}/resume`)).body).toMatchObject({ stopped: null });
  await until(() => hook.received().some(({ body }) => body.includes(missed.id)), 'what was missed arrived');
});

test('a test notification arrives, and a receiver that hangs holds up no other', async () => {
  const [hanging, good] = [await subscribe(['grant.broken']), await subscribe(['alert'])];
  receiver.answers(({ path }) => (path === hanging.path ? 'hang' : { status: 200 }));
  await call('POST', `/v1/webhooks/${hanging.id}/test`);
  await until(() => hanging.received().length > 0, 'the hanging one was asked');
  const { body } = await call('POST', `/v1/webhooks/${good.id}/test`);
  await until(() => good.received().length > 0, 'the good one was told');
  expect(good.received()[0]!.headers['webhook-id']).toBe(body['delivery']);
  expect(new Webhook(good.secret).verify(good.received()[0]!.body, headersOf(good.received()[0]!))).toMatchObject({
    type: 'webhook.test',
  });
  receiver.answers(() => ({ status: 200 }));
});

test('webhooks whose secrets cannot be read, however many and long due, keep no other waiting', async () => {
  await world.log.query(
    `with broken as (
       insert into webhook_subscriptions (id, tenant, url, types, signature, sealed_secret, next_index, created_at)
       select gen_random_uuid(), 'broken', $1, '{}', 'hmac-sha256', '\\x00', 0, now() from generate_series(1, 200)
       returning id)
     insert into webhook_deliveries (id, subscription, type, body, state, next_attempt_at, created_at)
     select 'msg_' || id, id, 'webhook.test', '{}', 'pending', now() - interval '1 hour', now() from broken`,
    [`${receiver.url}/broken`],
  );
  const hook = await subscribe(['alert']);
  await call('POST', `/v1/webhooks/${hook.id}/test`);
  await until(() => hook.received().length > 0, 'another was told');
  const failed = `select 1 from webhook_deliveries where last_reason = 'secret_unreadable' and next_attempt_at > now()`;
  await until(async () => (await world.log.query(failed)).length > 0, 'the broken ones wait');
  await world.log.query(`delete from webhook_subscriptions where tenant = 'broken'`);
});

test("another tenant sees, changes and is told nothing of a tenant's webhooks", async () => {
  const hook = await subscribe(['grant.broken']);
  const tenant = 'globex';
  await producer.audit.commit(broken({ tenant }));
  const mine = broken();
  await producer.audit.commit(mine);
  await until(() => hook.received().length > 0, 'our own arrived');
  expect(hook.received().map(({ body }) => JSON.parse(body).data.id)).toEqual([mine.id]);
  expect((await call('GET', '/v1/webhooks', { tenant })).body['webhooks']).toEqual([]);
  const delivery = String((await deliveries(hook.id))[0]!['id']);
  const paths: ['GET' | 'POST' | 'DELETE', string][] = [
    ['DELETE', ''],
    ['POST', '/rotate-secret'],
    ['POST', '/resume'],
    ['POST', '/test'],
    ['GET', '/deliveries'],
    ['POST', `/deliveries/${delivery}/redeliver`],
  ];
  for (const [method, path] of paths)
    expect((await call(method, `/v1/webhooks/${hook.id}${path}`, { tenant })).status).toBe(404);
  expect((await call('DELETE', `/v1/webhooks/${hook.id}`)).status).toBe(204);
  expect((await call('GET', `/v1/webhooks/${hook.id}/deliveries`)).status).toBe(404);
});

test('an address that the operator has not allowed is refused, and so is one without https (R35)', async () => {
  const create = async (to: string) =>
    (await call('POST', '/v1/webhooks', { body: { url: to, types: ['alert'] } })).body;
  expect(await create('https://169.254.169.254/latest')).toMatchObject({ status: 422, code: 'webhook_url_refused' });
  expect(await create('https://internal.example/')).toMatchObject({
    errors: [{ field: 'body.url', rule: 'host_not_listed' }],
  });
  expect(await create(`https://user:pass@${receiver.host}/`)).toMatchObject({ code: 'webhook_url_refused' });
  expect(await create(`http://${receiver.host}/`)).toMatchObject({ status: 400 });
});

test('a tenant has 32 webhooks at most', async () => {
  const tenant = 'initech';
  const create = () =>
    call('POST', '/v1/webhooks', { tenant, body: { url: `${receiver.url}/many`, types: ['alert'] } });
  const { body } = await create();
  await world.log.query(
    `insert into webhook_subscriptions (id, tenant, url, types, signature, sealed_secret, next_index, created_at)
     select gen_random_uuid(), tenant, url, types, signature, sealed_secret, next_index, created_at
     from webhook_subscriptions, generate_series(1, 30) where id = $1`,
    [body['id']],
  );
  const statuses = await Promise.all([create(), create(), create()].map(async (reply) => (await reply).status));
  expect(statuses.toSorted()).toEqual([201, 409, 409]);
});
