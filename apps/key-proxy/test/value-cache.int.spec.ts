import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { developmentCa } from '@postern/testing';
import { type FrontAnswer, type FrontRequest } from '@postern/testing/https-front';
import { type Caller } from './caller.ts';
import { openSubject, type ConfiguredSubject } from './contract/subjects.ts';
import { openWorld, type World } from './world.ts';

let aws: ConfiguredSubject;
let world: World;
let job: Caller;
let send: (method: 'GET' | 'POST' | 'PUT' | 'PATCH', path: string, body?: object) => ReturnType<Caller['send']>;
const clock = { ahead: 0 };

beforeAll(async () => {
  aws = await openSubject('aws');
  const { paths } = await developmentCa().issue('front');
  world = await openWorld({
    now: () => new Date(Date.now() + clock.ahead),
    env: { POSTERN_PROVIDER_HOSTS: `127.0.0.1:${aws.front.port}`, POSTERN_PROVIDER_CA_PATH: paths.ca },
    endpoints: aws.endpoints,
  });
  job = await world.caller('job');
  const tenant = `kp_${randomUUID().replaceAll('-', '')}`;
  const scopes = ['secrets:read', 'secrets:write', 'secrets:configure'];
  const token = await world.token(job.thumbprint, scopes, { tenant, roles: ['admin'] });
  send = (method, path, body) => job.send(method, `${world.url}${path}`, { token, body });
  const { settings, secrets } = aws.configuration;
  const credentials = { ...settings, secret_access_key: secrets['secret_access_key']?.reveal() };
  await send('PUT', '/v1/providers/main', { kind: 'aws', credentials });
  await send('PUT', '/v1/provider-default', { name: 'main', of: 'tenant' });
}, 120_000);
afterAll(async () => {
  await world?.close();
  await aws?.close();
});
afterEach(() => {
  aws.front.fault(null);
  clock.ahead = 0;
});

const create = (name: string, more: object = {}) =>
  send('POST', `/v1/secrets/${name}`, { value: { text: 'one' }, ...more });
const read = (name: string, query = '') => send('GET', `/v1/secrets/${name}${query}`);
const reads = () => aws.front.calls()['GetSecretValue'] ?? 0;

test('a value is read once in its time, then again; a pinned version once', async () => {
  await create('timed', { cache_seconds: 60 });
  aws.front.forgetCalls();
  expect(await read('timed')).toMatchObject({ body: { source: 'provider', age_seconds: 0 } });
  for (let n = 0; n < 5; n += 1)
    expect(await read('timed')).toMatchObject({ body: { source: 'cache', value: { text: 'one' } } });
  expect(reads()).toBe(1);
  clock.ahead = 61_000;
  expect(await read('timed')).toMatchObject({ body: { source: 'provider' } });
  expect(reads()).toBe(2);
  await read('timed', '?version=1');
  clock.ahead = 120_000;
  expect(await read('timed', '?version=1')).toMatchObject({ body: { source: 'cache', version: 1 } });
  expect(reads()).toBe(3);
});

test('1,000 reads at once of one cold secret are one call', async () => {
  await create('cold');
  aws.front.forgetCalls();
  const answers = await Promise.all(Array.from({ length: 1_000 }, () => read('cold')));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  expect(reads()).toBe(1);
}, 60_000);

test('what is written here is read at once: the cache is of the generation before', async () => {
  await create('written', { cache_seconds: 3_600 });
  await read('written');
  await read('written');
  await send('POST', '/v1/secrets/written/versions', { value: { text: 'two' } });
  expect(await read('written')).toMatchObject({ body: { version: 2, value: { text: 'two' } } });
  await send('POST', '/v1/secrets/written/disable');
  expect(await read('written')).toMatchObject({ status: 409 });
});

test('R32: a change that another replica made is seen at once, whatever this one remembers', async () => {
  await create('elsewhere', { cache_seconds: 3_600 });
  await read('elsewhere');
  await world.rows(`update secrets set state = 'disabled', generation = generation + 1 where name = 'elsewhere'`);
  expect(await read('elsewhere')).toMatchObject({ status: 409, body: { code: 'secret_disabled' } });
});

test('while another replica asks the provider, what is too old is not answered in place of what that one will put there', async () => {
  const { body } = await create('waited', { cache_seconds: 10, stale_seconds: 60 });
  await read('waited');
  const lead = await world.redis.cache.asAdmin(async (client) => {
    const wanted = `*key-proxy:value:${String(body['id'])}:*:newest`;
    const found = async () => (await client.keys(wanted))[0];
    let name = await found();
    for (const until = Date.now() + 20_000; !name && Date.now() < until;) name = await found();
    await client.set(`${name}:lead`, 'another replica');
    return `${name}:lead`;
  });
  clock.ahead = 20_000;
  aws.front.forgetCalls();
  const asked = read('waited');
  const waiting = read('waited');
  await world.redis.cache.asAdmin((client) => client.del(lead));
  expect(await asked).toMatchObject({ status: 200, body: { source: 'provider', age_seconds: 0 } });
  expect(await waiting).toMatchObject({ status: 200, body: { age_seconds: 0 } });
  expect(reads()).toBe(1);
});

test('without a time in the cache each read goes to the provider', async () => {
  await create('uncached', { cache_seconds: 0 });
  aws.front.forgetCalls();
  for (let n = 0; n < 3; n += 1) expect(await read('uncached')).toMatchObject({ body: { source: 'provider' } });
  expect(reads()).toBe(3);
});

test('while the provider is down: what is old enough is refused, or answered as far as the secret allows, with its age', async () => {
  await create('strict', { cache_seconds: 10 });
  await create('lenient', { cache_seconds: 10, stale_seconds: 60 });
  await read('strict');
  await read('lenient');
  aws.front.fault({ answer: { status: 503, body: '{}' } });
  clock.ahead = 55_000;
  expect(await read('strict')).toMatchObject({ status: 503, body: { code: 'provider_unreachable' } });
  const stale = await read('lenient');
  expect(stale).toMatchObject({ status: 200, body: { source: 'cache', value: { text: 'one' } } });
  expect(stale.body['age_seconds']).toBeGreaterThanOrEqual(50);
  clock.ahead = 75_000;
  expect(await read('lenient')).toMatchObject({ status: 503 });
});

test('the list with values takes what is cached, and the rest in as few calls as the provider has', async () => {
  const names = Array.from({ length: 25 }, (_, n) => `batch-${String(n).padStart(2, '0')}`);
  for (const name of names) await create(name);
  aws.front.forgetCalls();
  const list = () => send('GET', '/get-all-secrets?values=true&after=batch&limit=25');
  expect(((await list()).body['secrets'] as object[]).length).toBe(25);
  expect(aws.front.calls()).toEqual({ BatchGetSecretValue: 2 });
  await list();
  expect(aws.front.calls()).toEqual({ BatchGetSecretValue: 2 });
});

test('a batch in which the provider still gives a version that was replaced here is not taken for the newest, nor kept as that', async () => {
  for (const name of ['lagging-1', 'lagging-2']) await create(name);
  const list = async () => {
    const { body } = await send('GET', '/get-all-secrets?values=true&after=lagging&limit=2');
    return (body['secrets'] as { value: string }[]).map(({ value }) => value);
  };
  let before: FrontAnswer = { status: 500 };
  const batch = ({ headers }: FrontRequest) => headers['x-amz-target']?.endsWith('BatchGetSecretValue') === true;
  aws.front.fault({ instead: async (handle) => (before = await handle()) }, { only: batch });
  expect(await list()).toEqual(['one', 'one']);
  aws.front.fault({ instead: async () => before }, { only: batch });
  await send('POST', '/v1/secrets/lagging-1/versions', { value: { text: 'two' } });
  await send('PATCH', '/v1/secrets/lagging-2', { description: 'of another generation' });
  expect(await list()).toEqual(['two', 'one']);
  expect(await read('lagging-1')).toMatchObject({ body: { version: 2, value: { text: 'two' } } });
});

test('Redis holds no value in clear; what is put there by others is a miss', async () => {
  const { body } = await create('canary', { value: { text: 'canary-value-77' } });
  await read('canary');
  const [keys, dump] = await world.redis.cache.asAdmin(async (client) => {
    // Nobody waits for what is put there.
    for (const until = Date.now() + 20_000; Date.now() < until; await new Promise((resolve) => setImmediate(resolve)))
      if ((await client.keys(`*key-proxy:value:${String(body['id'])}:*`)).length > 0) break;
    const names = await client.keys('*key-proxy:value:*');
    return [names, (await Promise.all(names.map((name) => client.get(name)))).join()] as const;
  });
  expect(keys.join()).toContain(String(body['id']));
  for (const form of ['canary-value-77', Buffer.from('canary-value-77').toString('base64')])
    expect(dump).not.toContain(form);
  await world.redis.cache.asAdmin(async (client) => {
    for (const name of keys) await client.set(name, 'forged');
  });
  expect(await read('canary')).toMatchObject({
    status: 200,
    body: { source: 'provider', value: { text: 'canary-value-77' } },
  });
});

// The last one: what is left alone stays so for seconds of its own clock.
test('a throttled provider: 503 with its Retry-After, then it is left alone that long', async () => {
  await create('busy', { cache_seconds: 0 });
  aws.front.fault({ answer: { status: 429, headers: { 'retry-after': '7' }, body: '{}' } }, { times: 1 });
  const refused = await read('busy');
  expect(refused).toMatchObject({ status: 503, body: { code: 'provider_throttled' } });
  expect(refused.headers['retry-after']).toBe('7');
  aws.front.forgetCalls();
  expect(await read('busy')).toMatchObject({ status: 503, body: { code: 'provider_throttled' } });
  expect(reads()).toBe(0);
  clock.ahead = 8_000;
  expect(await read('busy')).toMatchObject({ status: 200 });
});
