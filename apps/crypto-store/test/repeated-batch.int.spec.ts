import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { newKey, openRecords, type Records } from './records-world.ts';

let world: Records['world'];
let one: Records['one'];
let two: Records['two'];
let job: Records['job'];

beforeAll(async () => {
  ({ world, one, two, job } = await openRecords());
});

afterAll(() => world.close());

const sending =
  (operations: object[], idempotencyKey = newKey()) =>
  async ({ url } = one) => {
    const headers = { 'idempotency-key': idempotencyKey };
    const { body } = await job.send(`${url}/v1/record-batches`, { method: 'POST', body: { operations }, headers });
    return body['results'];
  };

test('a batch that is sent again deletes nothing that it wrote the first time', async () => {
  const key = newKey();
  await job.put(one.url, key, 'old');
  const operations = [
    { op: 'delete', key },
    { op: 'put', key, payload: { text: 'new' } },
  ];
  const send = sending(operations);
  const first = await send();
  expect(first).toMatchObject([
    { status: 204, version: 1 },
    { status: 201, version: 2 },
  ]);
  for (const replica of [one, two]) expect(await send(replica)).toEqual(first);
  expect((await job.retrieve(one.url, key)).body['payload']).toBe('new');
  // Under another key it is another batch.
  expect(await sending(operations)()).toMatchObject([
    { status: 204, version: 2 },
    { status: 201, version: 3 },
  ]);
});

test('what was refused in a batch is refused again, whatever the writes after it made of the record', async () => {
  const [made, gone] = [newKey(), newKey()];
  await job.put(one.url, gone, 'old');
  const send = sending([
    { op: 'delete', key: made },
    { op: 'put', key: made, payload: { text: 'new' } },
    { op: 'put', key: gone, payload: { text: 'again' }, if_none_match: '*' },
    { op: 'delete', key: gone },
  ]);
  const first = await send();
  expect(first).toMatchObject([
    { status: 404, code: 'record_not_found' },
    { status: 201, version: 1 },
    { status: 412, code: 'precondition_failed' },
    { status: 204, version: 1 },
  ]);
  for (const replica of [one, two]) expect(await send(replica)).toEqual(first);
  expect((await job.retrieve(one.url, made)).body['payload']).toBe('new');
  expect((await job.retrieve(one.url, gone)).status).toBe(404);
});
