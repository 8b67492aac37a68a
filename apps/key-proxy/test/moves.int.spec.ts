import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { ended, kindOf, openMovedSecrets, run, text, type MovedSecrets, type Send } from './moved-secrets.ts';
import { recordedEvents } from './recorded-events.ts';

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

test('a tenant’s secrets move, are verified, can be taken back, and the rest is destroyed at the end', async () => {
  const send = await administrator();
  for (const name of ['a', 'b', 'c'])
    await send('POST', `/v1/secrets/${name}`, { value: { text: name }, provider: 'aws' });
  await send('POST', '/v1/secrets/a/versions', { value: { text: 'a2' } });
  await send('POST', '/v1/secrets/stays', { value: { text: 's' }, provider: 'azure' });
  const plan = await send('POST', '/v1/secret-moves', { from: 'aws', to: 'openbao' });
  expect(plan).toMatchObject({ status: 201, body: { secrets: 3, blocked: [] } });
  const id = String(plan.body['id']);
  expect(await run(send, id, 'start')).toMatchObject({
    state: 'done',
    progress: { done: 3, total: 3 },
    result: { states: { switched: 3 } },
  });
  expect([await text(send, 'a'), await text(send, 'b'), await kindOf(send, 'a'), await kindOf(send, 'stays')]).toEqual([
    [2, 'a2'],
    [1, 'b'],
    'openbao',
    'azure',
  ]);
  // A write after the move goes to the new place, and a rollback carries it back.
  await send('POST', '/v1/secrets/b/versions', { value: { text: 'b2' } });
  expect(await run(send, id, 'rollback')).toMatchObject({ result: { states: { rolled_back: 3 } } });
  expect([await text(send, 'a'), await text(send, 'b'), await kindOf(send, 'b')]).toEqual([
    [2, 'a2'],
    [2, 'b2'],
    'aws',
  ]);
  expect(await send('GET', '/v1/secrets/a?version=1')).toMatchObject({ body: { value: { text: 'a' } } });

  const again = String((await send('POST', '/v1/secret-moves', { from: 'aws', to: 'openbao' })).body['id']);
  await run(send, again, 'start');
  expect(await send('DELETE', '/v1/providers/aws')).toMatchObject({ status: 409, body: { code: 'provider_in_use' } });
  const before = subjects.get('aws')?.front.calls()['DeleteSecret'] ?? 0;
  expect(await run(send, again, 'finish')).toMatchObject({ result: { states: { finished: 3 } } });
  expect((subjects.get('aws')?.front.calls()['DeleteSecret'] ?? 0) - before).toBe(3);
  expect([await text(send, 'a'), await text(send, 'c')]).toEqual([
    [2, 'a2'],
    [1, 'c'],
  ]);
  const { body: a } = await send('GET', '/v1/secrets/a/metadata');
  const moved = (await recordedEvents(world)).filter((e) => e.action === 'secret.moved' && e.resource?.id === a['id']);
  // R23: before each write at a provider, of the way back and of the end as well.
  expect(moved.map(({ outcome, reason }) => reason ?? outcome)).toEqual([
    ...['intent', 'success', 'intent', 'rolled_back'],
    ...['intent', 'success', 'intent', 'finished'],
  ]);
  // Nothing lies there any more, nor can be taken back there.
  expect(await send('DELETE', '/v1/providers/aws')).toMatchObject({ status: 200 });
});

test('a secret that cannot be taken back leaves the others theirs, and is tried again; one job of a move at a time', async () => {
  const send = await administrator();
  const references: string[] = [];
  const ids: string[] = [];
  for (const name of ['x', 'y', 'z']) {
    const made = await send('POST', `/v1/secrets/${name}`, { value: { text: name }, provider: 'aws' });
    ids.push(String(made.body['id']));
  }
  const id = String((await send('POST', '/v1/secret-moves', { from: 'aws', to: 'openbao' })).body['id']);
  await run(send, id, 'start');
  for (const name of ['x', 'y', 'z'])
    references.push(String((await send('GET', `/v1/secrets/${name}/metadata`)).body['reference']));
  const first = ids.indexOf([...ids].sort()[0] ?? '');
  const gone = references[first]?.split('/').at(1) ?? 'none';
  const bao = subjects.get('openbao');
  const asked = Promise.withResolvers<void>();
  bao?.front.fault(
    { instead: async () => (await asked.promise, { status: 404, body: '{}' }) },
    { only: ({ url }) => url.pathname.includes(gone) },
  );
  const back = await send('POST', `/v1/secret-moves/${id}/rollback`);
  const other = await send('POST', `/v1/secret-moves/${id}/finish`);
  expect([back, other]).toMatchObject([{ status: 202 }, { status: 409, body: { code: 'move_under_way' } }]);
  asked.resolve();
  await ended(send, back);
  const name = ['x', 'y', 'z'][first];
  expect(await send('GET', `/v1/secret-moves/${id}`)).toMatchObject({
    body: { states: { rolled_back: 2, switched: 1 }, failed: [{ name, reason: 'secret_missing' }] },
  });
  bao?.front.fault(null);
  expect(await run(send, id, 'rollback')).toMatchObject({ result: { states: { rolled_back: 3 } } });
});

test('of two plans at once one is made; and none leads back to where an unfinished move came from', async () => {
  const send = await administrator();
  await send('POST', '/v1/secrets/one', { value: { text: 'v' }, provider: 'aws' });
  let plans: ReturnType<Send>[] = [];
  await world.inTransaction(async (statement) => {
    await statement('lock table secret_moves in share mode');
    plans = [1, 2].map(() => send('POST', '/v1/secret-moves', { from: 'aws', to: 'openbao' }));
    await world.waitsForLocks(2);
  });
  const answers = await Promise.all(plans);
  expect(answers.map(({ status }) => status).sort()).toEqual([201, 409]);
  const id = String(answers.find(({ status }) => status === 201)?.body['id']);
  await run(send, id, 'start');
  // Its value would be written over what lies there for the way back, and the end of the first move would destroy it.
  const there = { from: 'openbao', to: 'aws' };
  expect(await send('POST', '/v1/secret-moves', there)).toMatchObject({
    status: 409,
    body: { code: 'move_under_way' },
  });
  expect(await run(send, id, 'finish')).toMatchObject({ result: { states: { finished: 1 } } });
  const back = await send('POST', '/v1/secret-moves', there);
  expect(await run(send, String(back.body['id']), 'start')).toMatchObject({ result: { states: { switched: 1 } } });
  expect([await text(send, 'one'), await kindOf(send, 'one')]).toEqual([[1, 'v'], 'aws']);
});

test('a secret that is destroyed is destroyed wherever moves have left its value', async () => {
  const send = await administrator();
  const references: Record<string, string> = {};
  for (const name of ['switched', 'taken-back']) {
    const made = await send('POST', `/v1/secrets/${name}`, { value: { text: 'v' }, provider: 'aws' });
    references[name] = String(made.body['reference']);
  }
  const plan = async () => String((await send('POST', '/v1/secret-moves', { from: 'aws', to: 'openbao' })).body['id']);
  const taken = await plan();
  await run(send, taken, 'start');
  await run(send, taken, 'rollback');
  const [aws, bao] = (['aws', 'openbao'] as const).map((kind) => subjects.get(kind)?.provider);
  const isThere = (provider: typeof aws, reference = '') =>
    provider?.read(reference, null, { by: null, signal: AbortSignal.timeout(10_000) }).then(
      () => true,
      () => false,
    );
  const baoReference = `postern/${references['taken-back']?.split('/')[1]}/taken-back`;
  expect(await isThere(bao, baoReference)).toBe(true);
  expect(await send('POST', '/v1/secrets/taken-back/destroy', { confirm: 'taken-back' })).toMatchObject({
    status: 200,
  });
  expect(await isThere(bao, baoReference)).toBe(false);

  await run(send, await plan(), 'start');
  expect(await isThere(aws, references['switched'])).toBe(true);
  expect(await send('POST', '/v1/secrets/switched/destroy', { confirm: 'switched' })).toMatchObject({ status: 200 });
  expect(await isThere(aws, references['switched'])).toBe(false);
});

test('what the destination would not take stays, and is named by the plan', async () => {
  const send = await administrator();
  await send('POST', '/v1/secrets/small', { value: { text: 'v' }, provider: 'aws' });
  await send('POST', '/v1/secrets/large', { value: { text: 'x'.repeat(30_000) }, provider: 'aws' });
  await send('POST', `/v1/secrets/${'n'.repeat(120)}`, { value: { text: 'v' }, provider: 'aws' });
  const plan = await send('POST', '/v1/secret-moves', { from: 'aws', to: 'azure' });
  const blocked = plan.body['blocked'] as { name: string; reason: string }[];
  expect(blocked.map(({ name, reason }) => [name.slice(0, 5), reason]).sort()).toEqual([
    ['large', 'value_too_large'],
    ['nnnnn', 'name_too_long'],
  ]);
  expect(await run(send, String(plan.body['id']), 'start')).toMatchObject({
    result: { states: { switched: 1, failed: 2 } },
  });
  expect([await kindOf(send, 'small'), await kindOf(send, 'large')]).toEqual(['azure', 'aws']);
});
