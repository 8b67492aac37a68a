import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { isWrite, LONG_AGO, openKilledReplicas, type KilledReplicas } from './killed-replicas.ts';

let opened: KilledReplicas;
let bao: KilledReplicas['bao'];
let world: KilledReplicas['world'];
let send: KilledReplicas['send'];
let replica: KilledReplicas['replica'];
let restart: KilledReplicas['restart'];
let outcomes: KilledReplicas['outcomes'];
let waitsForLock: KilledReplicas['waitsForLock'];
let settledByWorker: KilledReplicas['settledByWorker'];

beforeAll(async () => {
  opened = await openKilledReplicas();
  ({ bao, world, send, replica, restart, outcomes, waitsForLock, settledByWorker } = opened);
}, 180_000);
afterAll(() => opened?.close());
beforeEach(() => opened.renewToken());

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
