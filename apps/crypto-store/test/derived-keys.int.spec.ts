import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { base64, openTransit, record, type TransitWorld } from './transit-world.ts';

let world: TransitWorld['world'];
let portal: TransitWorld['portal'];
let post: TransitWorld['post'];

beforeAll(async () => {
  ({ world, portal, post } = await openTransit());
});

afterAll(() => world.close());

test('a MAC is verified under its own name and tenant only, whole and unaltered', async () => {
  const input = base64('order 17');
  const { body } = await post('/v1/mac', { name: 'orders', input }, { held: ['mac:compute'] });
  const mac = body['mac'] as string;
  const valid = async (change: object, tenant = 'acme') =>
    (await post('/v1/mac/verify', { name: 'orders', input, mac, ...change }, { held: ['mac:verify'], tenant })).body[
      'valid'
    ];
  expect(await valid({})).toBe(true);
  expect(await valid({ name: 'invoices' })).toBe(false);
  expect(await valid({ input: base64('order 18') })).toBe(false);
  expect(await valid({ mac: Buffer.from(mac, 'base64').subarray(0, 16).toString('base64') })).toBe(false);
  expect(await valid({ mac: '' })).toBe(false);
  expect(await valid({}, 'other')).toBe(false);
});

test('R30: index values are equal for equal values of one workload and name, differ elsewhere, and are no MACs', async () => {
  const held = ['records:read'];
  const indexed = async (body: object, options: object = {}) =>
    (await post('/v1/blind-index', body, { held, ...options })).body['indexes'] as string[];
  const [a, b, again] = await indexed({ name: 'email', values: ['a@example', 'b@example', 'a@example'] });
  expect(a).toBe(again);
  expect(a).not.toBe(b);
  const others = [
    await indexed({ name: 'phone', values: ['a@example'] }),
    await indexed({ name: 'email', values: ['a@example'] }, { caller: portal }),
    await indexed({ name: 'email', values: ['a@example'] }, { tenant: 'other' }),
  ];
  expect(others.flat()).not.toContain(a);
  const { body } = await post('/v1/mac', { name: 'email', input: base64('a@example') }, { held: ['mac:compute'] });
  expect(Buffer.from(body['mac'] as string, 'base64').toString('base64url')).not.toBe(a);
  const all = ['transit:encrypt', 'transit:decrypt', 'mac:compute', 'mac:verify', 'data-keys:create', 'records:write'];
  expect(await post('/v1/blind-index', { name: 'email', values: ['x'] }, { held: all })).toMatchObject({
    status: 403,
    body: { code: 'insufficient_scope' },
  });
});

test('data keys come in clear and wrapped, or wrapped only, and are opened with their context', async () => {
  const held = ['data-keys:create', 'data-keys:decrypt'];
  const made = await post('/v1/data-keys', { context: record, count: 3 }, { held });
  expect(made.body).toMatchObject({
    branchKeyId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    context: { 'caller:record': 'r-1', 'postern:purpose': 'data-keys' },
  });
  const dataKeys = made.body['dataKeys'] as { plaintext: string; wrapped: string }[];
  expect(new Set(dataKeys.map(({ plaintext }) => plaintext)).size).toBe(3);
  const { plaintext, wrapped } = dataKeys[0]!;
  expect((await post('/v1/data-keys/decrypt', { wrapped, context: record }, { held })).body).toEqual({ plaintext });
  const only = await post('/v1/data-keys', { wrappedOnly: true }, { held });
  expect(Object.keys((only.body['dataKeys'] as object[])[0]!)).toEqual(['wrapped']);
});
