import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { developmentCa } from '@postern/testing';
import { type ConfiguredKind } from '../src/providers/configuration.ts';
import { type Caller } from './caller.ts';
import { openSubject, type ConfiguredSubject } from './contract/subjects.ts';
import { openWorld, type World } from './world.ts';

const kinds: ConfiguredKind[] = ['aws', 'gcp', 'azure', 'openbao'];
const subjects = new Map<ConfiguredKind, ConfiguredSubject>();
let world: World;
let job: Caller;
const clock = { ahead: 0 };

beforeAll(async () => {
  for (const kind of kinds) subjects.set(kind, await openSubject(kind));
  const { paths } = await developmentCa().issue('front');
  const hosts = [...subjects.values()].map(({ front }) => `127.0.0.1:${front.port}`);
  world = await openWorld({
    others: true,
    now: () => new Date(Date.now() + clock.ahead),
    env: { POSTERN_PROVIDER_HOSTS: hosts.join(','), POSTERN_PROVIDER_CA_PATH: paths.ca },
    endpoints: Object.assign({}, ...[...subjects.values()].map(({ endpoints }) => endpoints)),
  });
  job = await world.caller('job');
}, 180_000);
afterAll(async () => {
  await world?.close();
  await Promise.all([...subjects.values()].map((subject) => subject.close()));
});

const newTenant = () => `kp_${randomUUID().replaceAll('-', '')}`;
const everything = ['secrets:read', 'secrets:write', 'secrets:delete', 'secrets:configure'];
type Send = (
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  body?: object,
) => ReturnType<Caller['send']>;

/** Someone of a new tenant whose secrets go to one provider. */
async function someoneAt(
  kind: ConfiguredKind | 'crypto-store',
  tenant = newTenant(),
): Promise<Send & { tenant: string }> {
  const token = await world.token(job.thumbprint, everything, { tenant, roles: ['admin'] });
  const send: Send = (method, path, body) => job.send(method, `${world.url}${path}`, { token, body });
  const subject = kind === 'crypto-store' ? null : subjects.get(kind);
  if (subject) {
    const { settings, secrets } = subject.configuration;
    const plain = Object.fromEntries(Object.entries(secrets).map(([name, secret]) => [name, secret.reveal()]));
    const { client_email, private_key_id, ...rest } = settings;
    const credentials =
      kind === 'gcp'
        ? { ...rest, service_account_json: { type: 'service_account', client_email, private_key_id, ...plain } }
        : { ...settings, ...plain };
    const kept = await send('PUT', `/v1/providers/main`, { kind, credentials });
    expect(kept).toMatchObject({ status: 200 });
    await send('PUT', '/v1/provider-default', { name: 'main', of: 'tenant' });
  }
  return Object.assign(send, { tenant });
}

describe.each([...kinds, 'crypto-store' as const])('secrets at %s', (kind) => {
  let send: Send;
  beforeAll(async () => {
    send = await someoneAt(kind);
  });
  const create = (name: string, more: object = {}) =>
    send('POST', `/v1/secrets/${name}`, { value: { text: 'one' }, ...more });
  const read = (name: string, query = '') => send('GET', `/v1/secrets/${name}${query}`);

  test('versions: the newest, one by number, one by a label; compare-and-set', async () => {
    expect(await create('s')).toMatchObject({ status: 201, body: { version: 1, kind } });
    const put = (text: string, more: object = {}) =>
      send('POST', '/v1/secrets/s/versions', { value: { text }, ...more });
    expect(await put('two')).toMatchObject({ status: 201, body: { version: 2 } });
    expect(await put('x', { if_version: 1 })).toMatchObject({ status: 412, body: { code: 'version_conflict' } });
    expect(await put('three', { if_version: 2 })).toMatchObject({ status: 201, body: { version: 3 } });
    expect(await send('PATCH', '/v1/secrets/s', { labels: { stable: 2 } })).toMatchObject({ status: 200 });
    const texts = [];
    for (const query of ['', '?version=1', '?version=2', '?label=stable'])
      texts.push([
        (await read('s', query)).body['version'],
        ((await read('s', query)).body['value'] as { text: string }).text,
      ]);
    expect(texts).toEqual([
      [3, 'three'],
      [1, 'one'],
      [2, 'two'],
      [2, 'two'],
    ]);
    expect(await read('s', '?version=9')).toMatchObject({ status: 404, body: { code: 'version_not_found' } });
    expect(await read('s', '?label=none')).toMatchObject({ status: 404, body: { code: 'version_not_found' } });
    const { body } = await send('GET', '/v1/secrets/s/versions');
    expect((body['versions'] as { version: number }[]).map(({ version }) => version)).toEqual([3, 2, 1]);
  });

  test('of compare-and-sets at the same time one wins', async () => {
    await create('race');
    const answers = await Promise.all(
      ['a', 'b', 'c', 'd'].map((text) => send('POST', '/v1/secrets/race/versions', { value: { text }, if_version: 1 })),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    // One is written; the others find it under way, or done.
    expect(answers.every(({ status }) => [201, 409, 412].includes(status))).toBe(true);
    const winner = ['a', 'b', 'c', 'd'][answers.findIndex(({ status }) => status === 201)];
    expect(await read('race')).toMatchObject({ body: { version: 2, value: { text: winner } } });
  });

  test('disabled: not read until enabled; one version alone, too', async () => {
    await create('d');
    expect(await send('POST', '/v1/secrets/d/disable')).toMatchObject({ status: 200, body: { state: 'disabled' } });
    expect(await read('d')).toMatchObject({ status: 409, body: { code: 'secret_disabled' } });
    const written = await send('POST', '/v1/secrets/d/versions', { value: { text: 'one' } });
    expect(written).toMatchObject({ status: 201, body: { version: 2, state: 'disabled' } });
    expect(await read('d')).toMatchObject({ status: 409, body: { code: 'secret_disabled' } });
    expect(await send('POST', '/v1/secrets/d/enable')).toMatchObject({ status: 200, body: { state: 'live' } });
    expect(await read('d')).toMatchObject({ status: 200 });
    await send('POST', '/v1/secrets/d/versions', { value: { text: 'three' } });
    expect(await send('POST', '/v1/secrets/d/versions/2/disable')).toMatchObject({ status: 200 });
    expect(await read('d', '?version=2')).toMatchObject({ status: 404, body: { code: 'version_not_found' } });
    expect(await read('d')).toMatchObject({ status: 200, body: { version: 3 } });
    await send('POST', '/v1/secrets/d/versions/2/enable');
    expect(await read('d', '?version=2')).toMatchObject({ status: 200, body: { value: { text: 'one' } } });
    // Of the newest as of any other, whoever has the state, the provider or this service.
    const values = async () => ((await send('GET', '/get-all-secrets?values=true')).body['secrets'] as object[]).length;
    const all = await values();
    expect(await send('POST', '/v1/secrets/d/versions/3/disable')).toMatchObject({ status: 200 });
    expect(await read('d')).toMatchObject({ status: 409, body: { code: 'secret_disabled' } });
    expect([await values(), (await read('d', '?version=2')).status]).toEqual([all - 1, 200]);
    expect(await send('POST', '/v1/secrets/d/versions/3/enable')).toMatchObject({ status: 200 });
    expect(await read('d')).toMatchObject({ status: 200, body: { version: 3 } });
  });

  test('deleted, recovered, destroyed', async () => {
    await create('gone');
    expect(await send('DELETE', '/v1/secrets/gone')).toMatchObject({ status: 200, body: { state: 'deleted' } });
    expect(await read('gone')).toMatchObject({ status: 410, body: { code: 'secret_deleted' } });
    expect(await create('gone')).toMatchObject({ status: 409, body: { code: 'secret_exists' } });
    expect(await send('POST', '/v1/secrets/gone/recover')).toMatchObject({ status: 200, body: { state: 'live' } });
    expect(await read('gone')).toMatchObject({ status: 200, body: { value: { text: 'one' } } });
    const destroy = (confirm: string) => send('POST', '/v1/secrets/gone/destroy', { confirm });
    expect(await destroy('other')).toMatchObject({ status: 422, body: { code: 'confirmation_differs' } });
    expect(await destroy('gone')).toMatchObject({ status: 200, body: { status: 'destroyed' } });
    expect(await read('gone')).toMatchObject({ status: 404 });
    expect(await create('gone')).toMatchObject({ status: 201, body: { version: 1 } });
  });

  test('copied and generated, without anybody seeing the value', async () => {
    await create('source', { value: { text: 'copied' } });
    expect(await send('POST', '/v1/secrets/source/copy', { name: 'copy' })).toMatchObject({ status: 201 });
    expect(await read('copy')).toMatchObject({ body: { value: { text: 'copied' } } });
    const password = { kind: 'password', length: 20, symbols: 2 };
    const made = await send('POST', '/v1/secrets/made', { generate: password });
    expect(made).toMatchObject({ status: 201, body: { public_key: null } });
    const { text } = (await read('made')).body['value'] as { text: string };
    expect(text).toHaveLength(20);
    expect(JSON.stringify(made.body)).not.toContain(text);
    const pair = await send('POST', '/v1/secrets/made/versions', {
      generate: { kind: 'key_pair', algorithm: 'ed25519' },
    });
    expect(pair.body['public_key']).toMatch(/^-----BEGIN PUBLIC KEY-----/);
    expect(await send('POST', '/v1/secrets/both', { value: { text: 'v' }, generate: password })).toMatchObject({
      status: 400,
    });
  });
});

test('a change that finds its secret deleted meanwhile is refused, and leaves nothing open', async () => {
  const send = await someoneAt('gcp');
  await send('POST', '/v1/secrets/s', { value: { text: 'v' } });
  await send('POST', '/v1/secrets/s/disable');
  let late: ReturnType<Send> | undefined;
  await world.inTransaction(async (statement) => {
    await statement('lock table provider_writes in share mode');
    late = send('POST', '/v1/secrets/s/enable');
    await world.waitsForLocks(1);
    await statement(`update secrets set state = 'deleted', deleted_at = now() where tenant = $1`, [send.tenant]);
  });
  expect(await late).toMatchObject({ status: 410, body: { code: 'secret_deleted' } });
  expect(
    await world.rows(`select 1 from provider_writes where tenant = $1 and outcome is null`, [send.tenant]),
  ).toEqual([]);
  expect(await send('PATCH', '/v1/secrets/s', { tags: { a: 'b' } })).toMatchObject({ status: 410 });
  const label = { labels: { stable: Number.MAX_SAFE_INTEGER } };
  const refused = { status: 400, body: { errors: [{ field: 'body.labels.stable' }] } };
  expect(await send('PATCH', '/v1/secrets/s', label)).toMatchObject(refused);
});

test('lists: pages, prefixes, tags; metadata without the value', async () => {
  const send = await someoneAt('openbao');
  for (const [name, team] of [
    ['a/1', 'x'],
    ['a/2', 'y'],
    ['b/1', 'x'],
  ] as const)
    await send('POST', `/v1/secrets/${encodeURIComponent(name)}`, { value: { text: 'secret-text' }, tags: { team } });
  const names = async (query: string) =>
    ((await send('GET', `/v1/secrets${query}`)).body['secrets'] as { name: string }[]).map(({ name }) => name);
  expect(await names('?prefix=a%2F')).toEqual(['a/1', 'a/2']);
  expect(await names('?tag=team%3Dx')).toEqual(['a/1', 'b/1']);
  const first = await send('GET', '/v1/secrets?limit=2');
  expect(await names(`?limit=2&cursor=${first.body['next']}`)).toEqual(['b/1']);
  const described = await send('GET', '/v1/secrets/a%2F1/metadata');
  expect(described).toMatchObject({ status: 200, body: { name: 'a/1', tags: { team: 'x' } } });
  expect(JSON.stringify([first.body, described.body])).not.toContain('secret-text');
});

test('an expired secret is not read until it has another date', async () => {
  const send = await someoneAt('openbao');
  const soon = new Date(Date.now() + 60_000).toISOString();
  await send('POST', '/v1/secrets/e', { value: { text: 'v' }, expires_at: soon, rotate_days: 30 });
  expect(await send('GET', '/v1/secrets/e')).toMatchObject({ status: 200 });
  clock.ahead = 70_000;
  try {
    expect(await send('GET', '/v1/secrets/e')).toMatchObject({ status: 410, body: { code: 'secret_expired' } });
    expect(await send('GET', '/get-all-secrets?values=true')).toMatchObject({ status: 200, body: { secrets: [] } });
    expect(await send('GET', '/get-all-secrets')).toMatchObject({ body: { secrets: [{ name: 'e' }] } });
  } finally {
    clock.ahead = 0;
  }
  const later = new Date(Date.now() + 86_400_000).toISOString();
  expect(await send('PATCH', '/v1/secrets/e', { expires_at: later })).toMatchObject({ body: { expires_at: later } });
  expect(await send('GET', '/v1/secrets/e')).toMatchObject({ status: 200 });
});
