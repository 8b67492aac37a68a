import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { newKey, openRecords, type Records } from './records-world.ts';

let world: Records['world'];
let one: Records['one'];
let job: Records['job'];
let sql: Records['sql'];

beforeAll(async () => {
  ({ world, one, job, sql } = await openRecords());
});

afterAll(() => world.close());

const batch = (operations: object[]) =>
  job.send(`${one.url}/v1/record-batches`, { method: 'POST', body: { operations } });

test('a batch reads no more than its answer has room for, and what it wrote meanwhile it says', async () => {
  const [large, small] = [newKey(), newKey()];
  await job.put(one.url, large, 'x'.repeat(1 << 20));
  const id = await job.idOf(one.url, large);
  const reads = async () => {
    const { rows } = await sql('select canonical from audit_outbox');
    const events = rows.map(({ canonical }: { canonical: Buffer }) => JSON.parse(canonical.toString()) as Event);
    return events.filter((one) => one.action === 'record.read' && one.resource?.id === id).length;
  };
  type Event = { action: string; resource?: { id: string } };
  const before = await reads();
  const gets = Array.from({ length: 98 }, () => ({ op: 'get', key: large }));
  const { status, body } = await batch([...gets, { op: 'put', key: small, payload: { text: 'x' } }]);
  expect(status).toBe(200);
  const results = body['results'] as { status: number; code?: string }[];
  expect(results.filter((one) => one.status === 200)).toHaveLength(7);
  expect(results.filter((one) => one.code === 'payload_too_large')).toHaveLength(91);
  expect(results.at(-1)).toMatchObject({ key: small, status: 201, version: 1 });
  expect((await job.retrieve(one.url, small)).body['payload']).toBe('x');
  // Those that fit, and those that were under way when one did not.
  expect((await reads()) - before).toBeLessThan(40);
});

test('metadata is no longer than a reader’s header may be, in whatever script', async () => {
  const key = newKey();
  const value = 'é'.repeat(500);
  const put = (metadata: Record<string, string>) => batch([{ op: 'put', key, payload: { text: 'x' }, metadata }]);
  const refused = await put({ a: value, b: value, c: value, d: value, e: value, f: value, g: value });
  expect(refused).toMatchObject({ status: 400, body: { code: 'invalid_input' } });
  expect((await put({ a: value, b: value })).body['results']).toMatchObject([{ status: 201 }]);
  const { headers } = await job.record(one.url, key);
  expect(JSON.parse(headers['postern-metadata'] ?? '')).toEqual({ a: value, b: value });
  const unkept = await job.put(one.url, key, 'x', { 'postern-metadata': '{"__proto__":"left out"}' });
  expect(unkept).toMatchObject({ status: 400, body: { code: 'invalid_input' } });
});
