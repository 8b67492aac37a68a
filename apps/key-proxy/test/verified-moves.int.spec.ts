import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { kindOf, openMovedSecrets, run, text, type MovedSecrets, type Send } from './moved-secrets.ts';

let moved: MovedSecrets;
let world: MovedSecrets['world'];
let subjects: MovedSecrets['subjects'];
let administrator: MovedSecrets['administrator'];

beforeAll(async () => {
  moved = await openMovedSecrets();
  ({ world, subjects, administrator } = moved);
}, 180_000);
afterAll(() => moved?.close());
afterEach(() => subjects.forEach(({ front }) => front.fault(null)));

test('R38: a write at the source meanwhile fails the switch, and the newer value moves', async () => {
  const send = await administrator();
  await send('POST', '/v1/secrets/hot', { value: { text: 'one' }, provider: 'aws' });
  const id = String((await send('POST', '/v1/secret-moves', { from: 'aws', to: 'openbao' })).body['id']);
  const bao = subjects.get('openbao');
  // While the destination is written somebody writes the next version, through this service.
  bao?.front.fault(
    {
      instead: async (handle) => {
        const written = await handle();
        await send('POST', '/v1/secrets/hot/versions', { value: { text: 'two' } });
        return written;
      },
    },
    { times: 1, only: ({ method, url }) => method === 'POST' && url.pathname.includes('/data/') },
  );
  expect(await run(send, id, 'start')).toMatchObject({ result: { states: { switched: 1 } } });
  expect([await text(send, 'hot'), await kindOf(send, 'hot')]).toEqual([[2, 'two'], 'openbao']);
});

test('R38: a write that began before the switch, and is noted after it, is not made at the place that was left', async () => {
  const send = await administrator();
  await send('POST', '/v1/secrets/late', { value: { text: 'one' }, provider: 'aws', cache_seconds: 0 });
  const id = String((await send('POST', '/v1/secret-moves', { from: 'aws', to: 'openbao' })).body['id']);
  const write = () => send('POST', '/v1/secrets/late/versions', { value: { text: 'two' } });
  let late: ReturnType<Send> | undefined;
  await world.inTransaction(async (statement) => {
    await statement('lock table provider_writes in share mode');
    late = write();
    await world.waitsForLocks(1);
    expect(await run(send, id, 'start')).toMatchObject({ result: { states: { switched: 1 } } });
  });
  expect(await late).toMatchObject({ status: 409, body: { code: 'secret_busy' } });
  expect(await text(send, 'late')).toEqual([1, 'one']);
  expect(await write()).toMatchObject({ status: 201, body: { kind: 'openbao', version: 2 } });
  expect(await text(send, 'late')).toEqual([2, 'two']);
});

test('R38: what is read back as another value is not switched to', async () => {
  const send = await administrator();
  await send('POST', '/v1/secrets/bent', { value: { text: 'straight' }, provider: 'aws' });
  const id = String((await send('POST', '/v1/secret-moves', { from: 'aws', to: 'openbao' })).body['id']);
  subjects.get('openbao')?.front.fault(
    {
      instead: async (handle) => {
        const { body, ...answer } = await handle();
        return { ...answer, body: String(body).replace('straight', 'bent    ') };
      },
    },
    { only: ({ method, url }) => method === 'GET' && url.pathname.includes('/data/') },
  );
  expect(await run(send, id, 'start')).toMatchObject({ result: { states: { failed: 1 } } });
  subjects.get('openbao')?.front.fault(null);
  expect([await text(send, 'bent'), await kindOf(send, 'bent')]).toEqual([[1, 'straight'], 'aws']);
  expect(await send('GET', `/v1/secret-moves/${id}`)).toMatchObject({
    body: { failed: [{ name: 'bent', reason: 'move_unverified' }] },
  });
});

test('R5: from crypto-store under a token of whoever started it', async () => {
  const send = await administrator();
  await send('POST', '/v1/secrets/mine', { value: { text: 'v' }, provider: 'crypto-store' });
  const id = String((await send('POST', '/v1/secret-moves', { from: 'crypto-store', to: 'openbao' })).body['id']);
  expect(await run(send, id, 'start')).toMatchObject({ state: 'done', result: { states: { switched: 1 } } });
  expect([await text(send, 'mine'), await kindOf(send, 'mine')]).toEqual([[1, 'v'], 'openbao']);
});
