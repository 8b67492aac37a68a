import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { developmentCa } from '@postern/testing';
import { type Caller } from './caller.ts';
import { openSubject, type ConfiguredSubject } from './contract/subjects.ts';
import { recordedEvents } from './recorded-events.ts';
import { startService, type ServiceProcess } from './service-process.ts';
import { openWorld, type World } from './world.ts';

let bao: ConfiguredSubject;
let world: World;
let job: Caller;
let token: string;

beforeAll(async () => {
  bao = await openSubject('openbao');
  const { paths } = await developmentCa().issue('front');
  world = await openWorld({
    env: { POSTERN_PROVIDER_HOSTS: `127.0.0.1:${bao.front.port}`, POSTERN_PROVIDER_CA_PATH: paths.ca },
  });
  job = await world.caller('job');
  await renewToken();
  const { settings, secrets } = bao.configuration;
  const credentials = { ...settings, token: secrets['token']?.reveal() };
  await send('PUT', '/v1/providers/main', { kind: 'openbao', credentials });
  await send('PUT', '/v1/provider-default', { name: 'main', of: 'tenant' });
}, 180_000);
afterAll(async () => {
  await world?.close();
  await bao?.close();
});

const tenant = `kp_${randomUUID().replaceAll('-', '')}`;
/** Services start and end again and again here: on a slow machine that takes longer than a token lives. */
async function renewToken(): Promise<void> {
  const scopes = ['secrets:read', 'secrets:write', 'secrets:configure'];
  token = await world.token(job.thumbprint, scopes, { tenant, roles: ['admin'] });
}
beforeEach(renewToken);

const send = (method: 'GET' | 'POST' | 'PUT' | 'PATCH', path: string, body?: object, url = world.url) =>
  job.send(method, `${url}${path}`, { token, body });
const replica = (role: 'api' | 'all') =>
  startService('key-proxy', { ...world.env, POSTERN_ROLE: role, POSTERN_PUBLIC_PORT: '0' });

/** Outcomes of the actions on a secret, oldest first. */
async function outcomes(id: string): Promise<string[]> {
  const events = (await recordedEvents(world)).filter(({ resource }) => resource?.id === id);
  return events.map(({ action, outcome, reason }) => [action, outcome, reason].filter(Boolean).join(' '));
}

const LONG_AGO = `update provider_writes set started_at = started_at - interval '10 minutes' where outcome is null`;

/** What was written long ago is settled by the worker of the next start. */
async function restart(): Promise<void> {
  await world.rows(LONG_AGO);
  await settledByWorker();
}

async function settledByWorker(): Promise<void> {
  const next = await replica('all');
  for (let n = 0; n < 500; n += 1) {
    const [{ open } = { open: '1' }] = await world.rows<{ open: string }>(
      `select count(*) as open from provider_writes where outcome is null`,
    );
    if (open === '0') break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await next.close();
}

/** Until a statement waits for the table that a test holds. */
async function waitsForLock(table: string): Promise<void> {
  for (let n = 0; n < 500; n += 1) {
    const waiting = await world.rows(`select 1 from pg_locks where not granted and relation = $1::regclass`, [table]);
    if (waiting.length > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('nobody waits for the table');
}

/** Sends a request to a replica that is killed when `at` says so. */
async function killedIn(
  path: string,
  body: object,
  at: (kill: () => Promise<void>) => void,
  method: 'POST' | 'PATCH' = 'POST',
): Promise<void> {
  const victim: ServiceProcess = await replica('api');
  at(() => victim.kill());
  const answer = await send(method, path, body, victim.urls.api).then(
    ({ status }) => status,
    () => 'cut',
  );
  bao.front.fault(null);
  await victim.kill();
  expect(answer).toBe('cut');
}

const isWrite = ({ method, url }: { method: string; url: URL }) => method === 'POST' && url.pathname.includes('/data/');

test('killed after the write is noted, before the provider has it: nothing was written, and the name is free', async () => {
  // In run-write.ts, between `openWrite` and what `make` answers.
  await killedIn('/v1/secrets/one', { value: { text: 'v' } }, (kill) =>
    bao.front.fault({ instead: async () => (await kill(), null) }, { only: isWrite }),
  );
  const [{ id }] = (await world.rows<{ id: string }>(`select id from secrets where name = 'one'`)) as [{ id: string }];
  expect(await send('POST', '/v1/secrets/one', { value: { text: 'v' } })).toMatchObject({
    status: 409,
    body: { code: 'secret_busy' },
  });
  await restart();
  expect((await outcomes(id)).at(-1)).toBe('secret.created failed never_written');
  expect(await send('GET', '/v1/secrets/one')).toMatchObject({ status: 404 });
  expect(await send('POST', '/v1/secrets/one', { value: { text: 'v' } })).toMatchObject({ status: 201 });
}, 180_000);

test('killed after the provider has it, before its answer is read: found by its fingerprint, and live', async () => {
  const expires_at = new Date(Date.now() + 30 * 86_400_000).toISOString();
  await killedIn('/v1/secrets/two', { value: { text: 'kept' }, expires_at, cache_seconds: 0 }, (kill) =>
    bao.front.fault({ instead: async (handle) => (await handle(), await kill(), null) }, { only: isWrite }),
  );
  await restart();
  const read = await send('GET', '/v1/secrets/two');
  expect(read).toMatchObject({ status: 200, body: { version: 1, value: { text: 'kept' } } });
  expect((await outcomes(String(read.body['id']))).slice(-2)).toEqual([
    'secret.created success settled',
    'secret.read success',
  ]);
  // What its owner said is there from the first moment that it lives.
  const { body } = await send('GET', '/v1/secrets/two/metadata');
  expect(body).toMatchObject({ expires_at, cache_seconds: 0 });
}, 180_000);

test('killed after the answer, before the rows are committed: the next version is found as well', async () => {
  // In run-write.ts, within `applyWrite`: it waits for a lock that this test holds.
  await send('POST', '/v1/secrets/three', { value: { text: 'one' } });
  const held = Promise.withResolvers<void>();
  let killed: Promise<void> = Promise.resolve();
  await killedIn('/v1/secrets/three/versions', { value: { text: 'two' } }, (kill) =>
    bao.front.fault(
      {
        instead: async (handle) => {
          const locked = Promise.withResolvers<void>();
          killed = world.whileLocked('secret_versions', locked.resolve, held.promise);
          await locked.promise;
          void waitsForLock('secret_versions').then(kill).finally(held.resolve);
          return handle();
        },
      },
      { only: isWrite },
    ),
  );
  await killed;
  expect(
    (await world.rows(`select 1 from secret_versions v join secrets s on s.id = v.secret_id where s.name = 'three'`))
      .length,
  ).toBe(1);
  await restart();
  expect(await send('GET', '/v1/secrets/three')).toMatchObject({ body: { version: 2, value: { text: 'two' } } });
  expect(await send('GET', '/v1/secrets/three?version=1')).toMatchObject({ body: { value: { text: 'one' } } });
}, 180_000);

test('a lost answer, nobody killed: 503, the write stays open, and the worker finds what became of it', async () => {
  bao.front.fault({ cut: 'after' }, { only: isWrite });
  const answer = await send('POST', '/v1/secrets/four', { value: { text: 'kept' } });
  bao.front.fault(null);
  expect(answer).toMatchObject({ status: 503, body: { code: 'provider_unreachable' } });
  expect(await send('GET', '/v1/secrets/four')).toMatchObject({ status: 404 });
  await restart();
  expect(await send('GET', '/v1/secrets/four')).toMatchObject({ status: 200, body: { value: { text: 'kept' } } });
  expect(await send('POST', '/v1/secrets/four', { value: { text: 'other' } })).toMatchObject({
    status: 409,
    body: { code: 'secret_exists' },
  });
}, 180_000);

test('tags: killed before the provider has them, or their answer lost: the worker sets them again, with all that was said beside them', async () => {
  const isTagging = ({ method, url }: { method: string; url: URL }) =>
    method === 'POST' && url.pathname.includes('/metadata/');
  const said = { tags: { team: 'web' }, description: 'of the shop', rotate_days: 30 };
  for (const name of ['eight', 'nine'])
    await send('POST', `/v1/secrets/${name}`, { value: { text: 'v' }, tags: { team: 'mail' } });
  bao.front.fault({ cut: 'after' }, { only: isTagging });
  expect(await send('PATCH', '/v1/secrets/nine', said)).toMatchObject({ status: 503 });
  bao.front.fault(null);
  const atKill = (kill: () => Promise<void>) =>
    bao.front.fault({ instead: async () => (await kill(), null) }, { only: isTagging });
  await killedIn('/v1/secrets/eight', said, atKill, 'PATCH');
  expect(await send('PATCH', '/v1/secrets/eight', said)).toMatchObject({ status: 409, body: { code: 'secret_busy' } });
  await restart();
  for (const name of ['eight', 'nine']) {
    const { body } = await send('GET', `/v1/secrets/${name}/metadata`);
    expect(body).toMatchObject(said);
    const call = { by: null, signal: AbortSignal.timeout(10_000) };
    expect((await bao.provider.describe(String(body['reference']), call)).tags).toEqual(said.tags);
    expect(await outcomes(String(body['id']))).toContain('secret.updated success settled');
  }
}, 180_000);

test('a write that somebody else settled while the worker was asking what became of it is not told of again', async () => {
  bao.front.fault({ cut: 'after' }, { only: isWrite });
  // The second one is settled after the first: by then the worker is done with that.
  for (const name of ['five', 'six']) await send('POST', `/v1/secrets/${name}`, { value: { text: 'kept' } });
  bao.front.fault(null);
  const [{ id }] = (await world.rows<{ id: string }>(`select id from secrets where name = 'five'`)) as [{ id: string }];
  const before = await outcomes(id);
  await world.rows(LONG_AGO);
  let settled: Promise<void> = Promise.resolve();
  await world.inTransaction(async (statement) => {
    await statement('lock table provider_writes in share mode');
    settled = settledByWorker();
    await waitsForLock('provider_writes');
    await statement(`update provider_writes set outcome = 'done', settled_at = now() where secret_id = $1`, [id]);
  });
  await settled;
  expect(await send('GET', '/v1/secrets/six')).toMatchObject({ status: 200 });
  expect(await outcomes(id)).toEqual(before);
}, 180_000);

test('many writes at a place that does not answer keep none at another from being settled', async () => {
  const { settings, secrets } = bao.configuration;
  const credentials = { ...settings, token: secrets['token']?.reveal() };
  await send('PUT', '/v1/providers/down', { kind: 'openbao', credentials });
  await world.rows(
    `with made as (
       insert into secrets (id, tenant, owner_issuer, owner_sub, name, provider, configuration, reference, created_at, updated_at)
       select gen_random_uuid(), c.tenant, 'https://x.example', 'x', 'down-' || n, c.kind, c.id, 'postern/down/' || n, now(), now()
         from provider_configurations c, generate_series(1, 120) n where c.name = 'down' returning id, tenant)
     insert into provider_writes (id, secret_id, tenant, operation, version, fingerprint, type, started_at)
       select gen_random_uuid(), id, tenant, 'create', 1, decode(repeat('00', 32), 'hex'), 'text', now() - interval '1 hour' from made`,
  );
  bao.front.fault({ cut: 'after' }, { only: isWrite });
  await send('POST', '/v1/secrets/seven', { value: { text: 'kept' } });
  await world.rows(LONG_AGO);
  bao.front.fault({ answer: { status: 503, body: '{}' } }, { only: ({ url }) => url.pathname.includes('/down/') });
  const next = await replica('all');
  const state = async () =>
    (await world.rows<{ state: string }>(`select state from secrets where name = 'seven'`))[0]?.state;
  for (let n = 0; n < 300 && (await state()) !== 'live'; n += 1)
    await new Promise((resolve) => setTimeout(resolve, 100));
  await next.close();
  bao.front.fault(null);
  await world.rows(`delete from provider_writes where secret_id in (select id from secrets where name like 'down-%')`);
  expect(await state()).toBe('live');
}, 180_000);

test('an expiry and a rotation within a week are told of once, by one of the replicas', async () => {
  const soon = new Date(Date.now() + 86_400_000).toISOString();
  await send('POST', '/v1/secrets/due', { value: { text: 'v' }, expires_at: soon });
  await send('POST', '/v1/secrets/later', { value: { text: 'v' }, rotate_days: 90 });
  const told = () =>
    world.rows<{ name: string; at: Date }>(`select name, reminded_at as at from secrets where reminded_at is not null`);
  const next = await replica('all');
  for (let n = 0; n < 400 && (await told()).length === 0; n += 1)
    await new Promise((resolve) => setTimeout(resolve, 100));
  const [due, ...others] = await told();
  expect([due?.name, others]).toEqual(['due', []]);
  await next.close();
  const again = await replica('all');
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  await again.close();
  expect(await told()).toEqual([due]);
}, 180_000);

test('a cold secret that two replicas are asked for at the same time is one call to its provider', async () => {
  await send('POST', '/v1/secrets/cold', { value: { text: 'v' }, cache_seconds: 60 });
  const other = await replica('api');
  const reads = () =>
    Object.entries(bao.front.calls()).reduce(
      (sum, [label, n]) => sum + (label.startsWith('GET') && label.includes('/data/') ? n : 0),
      0,
    );
  // Slow enough that all are there before the first has its answer.
  bao.front.fault({ delayMs: 500 });
  bao.front.forgetCalls();
  const urls = Array.from({ length: 40 }, (_, n) => (n % 2 ? world.url : other.urls.api));
  const answers = await Promise.all(urls.map((url) => send('GET', '/v1/secrets/cold', undefined, url)));
  bao.front.fault(null);
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  expect(reads()).toBe(1);
  await other.close();
}, 180_000);
