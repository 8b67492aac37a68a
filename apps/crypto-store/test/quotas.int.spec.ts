import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { request } from 'undici';
import { newKey, openRecords, type Records } from './records-world.ts';

let records: Records;
let tokenOf: (tenant: string, quota?: object) => Promise<string>;

beforeAll(async () => {
  records = await openRecords();
  tokenOf = (tenant, quota) =>
    records.job.token({ tenant, ...(quota && { claims: { quotas: { 'crypto-store': quota } } }) });
});
afterAll(() => records.world.close());

const put = (url: string, key: string, token: string) =>
  records.job.record(url, key, {
    method: 'PUT',
    body: Buffer.from('value'),
    headers: { 'content-type': 'text/plain' },
    token,
  });
const countOf = async (tenant: string) =>
  (
    await records.sql(
      `select (select count(*)::int from records where tenant = $1) as there,
              (select records::int from record_counts where tenant = $1) as counted`,
      [tenant],
    )
  ).rows[0] as { there: number; counted: number | null };
const metricsOf = async ({ urls }: Records['one']) => (await request(`${String(urls.management)}/metrics`)).body.text();

test('a tenant has its requests a minute, then 429 that says when; another tenant is not slowed, and a token without a quota has none', async () => {
  const { one, job } = records;
  const limited = await tokenOf('rated', { requestsPerMinute: 3 });
  const read = (token: string) => job.record(one.url, 'nothing', { token });
  const statuses = [];
  for (let n = 0; n < 3; n += 1) statuses.push((await read(limited)).status);
  expect(statuses).toEqual([404, 404, 404]);
  const { status, headers, body } = await read(limited);
  expect([status, body['code']]).toEqual([429, 'tenant_rate_exceeded']);
  expect(headers['ratelimit-policy']).toBe('"tenant";q=3;w=60');
  expect(headers['ratelimit']).toBe(`"tenant";r=0;t=${headers['retry-after']}`);
  expect((await read(await tokenOf('another', { requestsPerMinute: 3 }))).status).toBe(404);
  expect((await read(await tokenOf('rated'))).status).toBe(404);
  expect(await metricsOf(one)).toContain('postern_tenant_quota_refusals_total{code="tenant_rate_exceeded"');
});

test('forty writers at two replicas make exactly as many records as the tenant may have', async () => {
  const { one, two } = records;
  const token = await tokenOf('counted', { records: 10 });
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, n) => put((n % 2 === 0 ? one : two).url, newKey(), token)),
  );
  const outcomes = answers.map(({ status, body }) => `${status} ${String(body['code'] ?? 'made')}`).toSorted();
  expect(outcomes).toEqual([...Array(10).fill('201 made'), ...Array(30).fill('409 quota_exceeded')]);
  expect(await countOf('counted')).toEqual({ there: 10, counted: 10 });
});

test('what is there may be written again, and what is destroyed makes room; a deleted record still counts', async () => {
  const { one, job, sql } = records;
  const token = await tokenOf('full', { records: 2 });
  const [first, second] = [newKey(), newKey()];
  for (const key of [first, second]) expect((await put(one.url, key, token)).status).toBe(201);
  expect((await put(one.url, first, token)).status).toBe(200);
  await job.record(one.url, first, { method: 'DELETE', token });
  expect((await put(one.url, newKey(), token)).status).toBe(409);
  const { rows } = await sql('select canonical from audit_outbox order by id desc limit 1');
  expect(JSON.parse((rows[0].canonical as Buffer).toString())).toMatchObject({
    action: 'request.refused',
    tenant: 'full',
    reason: 'quota_exceeded',
  });
  const gone = await job.record(one.url, first, { method: 'POST', path: '/destroy', body: { all: true }, token });
  expect(gone.status).toBeLessThan(300);
  expect((await put(one.url, newKey(), token)).status).toBe(201);
  expect(await countOf('full')).toEqual({ there: 2, counted: 2 });
});

test('records from before the quota are counted, those written without one later too; a tenant without a quota is not', async () => {
  const { one, two, job } = records;
  const free = await tokenOf('grown');
  for (let n = 0; n < 3; n += 1) await put(one.url, newKey(), free);
  expect(await countOf('grown')).toEqual({ there: 3, counted: null });
  const limited = await tokenOf('grown', { records: 5 });
  expect((await put(two.url, newKey(), limited)).status).toBe(201);
  expect((await put(one.url, newKey(), free)).status).toBe(201);
  expect(await countOf('grown')).toEqual({ there: 5, counted: 5 });
  const batch = await job.send(`${one.url}/v1/record-batches`, {
    method: 'POST',
    body: { operations: [{ op: 'put', key: newKey(), payload: { text: 'one more' } }] },
    token: limited,
  });
  expect(batch.body['results']).toEqual([expect.objectContaining({ status: 409, code: 'quota_exceeded' })]);
});
