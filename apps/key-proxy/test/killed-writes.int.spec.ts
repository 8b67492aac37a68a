import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { isWrite, openKilledReplicas, type KilledReplicas } from './killed-replicas.ts';

let opened: KilledReplicas;
let bao: KilledReplicas['bao'];
let world: KilledReplicas['world'];
let send: KilledReplicas['send'];
let restart: KilledReplicas['restart'];
let outcomes: KilledReplicas['outcomes'];
let waitsForLock: KilledReplicas['waitsForLock'];
let killedIn: KilledReplicas['killedIn'];

beforeAll(async () => {
  opened = await openKilledReplicas();
  ({ bao, world, send, restart, outcomes, waitsForLock, killedIn } = opened);
}, 180_000);
afterAll(() => opened?.close());
beforeEach(() => opened.renewToken());

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
