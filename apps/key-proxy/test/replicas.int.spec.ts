import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { openKilledReplicas, type KilledReplicas } from './killed-replicas.ts';

let opened: KilledReplicas;
let bao: KilledReplicas['bao'];
let world: KilledReplicas['world'];
let send: KilledReplicas['send'];
let replica: KilledReplicas['replica'];

beforeAll(async () => {
  opened = await openKilledReplicas();
  ({ bao, world, send, replica } = opened);
}, 180_000);
afterAll(() => opened?.close());
beforeEach(() => opened.renewToken());

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
