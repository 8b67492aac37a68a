import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Caller } from './caller.ts';
import { openWorld, type World } from './world.ts';

let world: World;
let job: Caller;

beforeAll(async () => {
  world = await openWorld({ others: true });
  job = await world.caller('job');
}, 120_000);
afterAll(() => world?.close());

const newTenant = () => `kp_${randomUUID().replaceAll('-', '')}`;
const tokenOf = (tenant: string, secrets?: number, sub = 'alice') =>
  world.token(job.thumbprint, ['secrets:read', 'secrets:write', 'secrets:delete'], {
    tenant,
    sub,
    ...(secrets !== undefined && { claims: { quotas: { 'key-proxy': { secrets } } } }),
  });
const create = (name: string, token: string) =>
  job.send('POST', `${world.url}/v1/secrets/${name}`, { token, body: { value: { text: 'value' } } });
const countOf = async (tenant: string) =>
  (
    await world.rows<{ there: number; counted: number | null }>(
      `select (select count(*)::int from secrets where tenant = $1) as there,
              (select secrets::int from secret_counts where tenant = $1) as counted`,
      [tenant],
    )
  )[0];

test('parallel creates by every route make exactly as many secrets as the tenant may have, whoever owns them', async () => {
  const tenant = newTenant();
  const [alice, bob] = await Promise.all([tokenOf(tenant, 6), tokenOf(tenant, 6, 'bob')]);
  expect((await create('source', alice)).status).toBe(201);
  const answers = await Promise.all(
    Array.from({ length: 18 }, (_, n) => {
      if (n % 3 === 0) return create(`made-${n}`, bob);
      const [path, body] =
        n % 3 === 1
          ? ['/create-secret', { secret_name: `made-${n}`, secret_value: 'value' }]
          : ['/v1/secrets/source/copy', { name: `made-${n}` }];
      return job.send('POST', `${world.url}${path}`, { token: alice, body });
    }),
  );
  const outcomes = answers.map(({ status, body }) => `${status} ${String(body['code'] ?? 'made')}`).toSorted();
  expect(outcomes).toEqual([...Array(5).fill('201 made'), ...Array(13).fill('409 quota_exceeded')]);
  expect(await countOf(tenant)).toEqual({ there: 6, counted: 6 });
  const other = await tokenOf(newTenant(), 1);
  expect((await create('made-0', other)).status).toBe(201);
});

test('secrets from before the quota are counted; a next version of one that is there is written, and one that is destroyed makes room', async () => {
  const tenant = newTenant();
  const free = await tokenOf(tenant);
  expect((await create('before', free)).status).toBe(201);
  expect(await countOf(tenant)).toEqual({ there: 1, counted: null });
  const limited = await tokenOf(tenant, 1);
  expect((await create('more', limited)).body).toMatchObject({
    code: 'quota_exceeded',
    detail: 'The tenant may have 1 secrets',
  });
  const next = { token: limited, body: { value: { text: 'next' } } };
  expect((await job.send('POST', `${world.url}/v1/secrets/before/versions`, next)).status).toBeLessThan(300);
  expect((await create('more', free)).status).toBe(201);
  for (const name of ['before', 'more'])
    await job.send('POST', `${world.url}/v1/secrets/${name}/destroy`, { token: free, body: { confirm: name } });
  expect(await countOf(tenant)).toEqual({ there: 0, counted: 0 });
  expect((await create('more', limited)).status).toBe(201);
});
