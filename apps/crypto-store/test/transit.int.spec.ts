import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { base64, messageIdOf, openTransit, record, refused, scopes, type TransitWorld } from './transit-world.ts';

let world: TransitWorld['world'];
let replica: TransitWorld['replica'];
let job: TransitWorld['job'];
let portal: TransitWorld['portal'];
let post: TransitWorld['post'];
let events: TransitWorld['events'];

beforeAll(async () => {
  ({ world, replica, job, portal, post, events } = await openTransit());
});

afterAll(() => world.close());

const encrypted = async (text: string, context: Record<string, string> = record) =>
  (await post('/v1/encrypt', { plaintext: base64(text), context })).body['ciphertext'] as string;

/** The body of every refusal, without what differs by request. */
const shape = ({
  status,
  body: { request: _request, ...body },
}: {
  status: number;
  body: Record<string, unknown>;
}) => ({
  status,
  body,
});

test('what was encrypted is decrypted with the same context, by any workload of the tenant that may', async () => {
  const ciphertext = await encrypted('a secret');
  const opened = await post('/v1/decrypt', { ciphertext, context: record }, { caller: portal });
  expect(opened).toMatchObject({ status: 200, body: { plaintext: base64('a secret') } });
  const [sealed] = (await events('data.encrypted')).slice(-1);
  const [read] = (await events('data.decrypted')).slice(-1);
  expect([sealed, read].map((event) => event?.details)).toEqual(
    [0, 1].map(() => ({ bytes: 8, message: messageIdOf(ciphertext) })),
  );
});

test('another context, tenant or purpose, and altered bytes are refused alike', async () => {
  const ciphertext = await encrypted('a secret');
  const flipped = Buffer.from(ciphertext, 'base64');
  flipped[flipped.length - 1]! ^= 1;
  const { body } = await post('/v1/data-keys', {}, { held: ['data-keys:create'] });
  const [{ wrapped }] = body['dataKeys'] as [{ wrapped: string }];
  const answers = [
    await post('/v1/decrypt', { ciphertext, context: { record: 'r-2' } }),
    await post('/v1/decrypt', { ciphertext }),
    await post('/v1/decrypt', { ciphertext, context: record }, { tenant: 'other' }),
    await post('/v1/decrypt', { ciphertext: flipped.toString('base64'), context: record }),
    await post('/v1/decrypt', { ciphertext: base64('no message'), context: record }),
    await post('/v1/rewrap', { ciphertext, context: {} }),
    await post('/v1/data-keys/decrypt', { wrapped, context: record }, { held: ['data-keys:decrypt'] }),
  ];
  for (const answer of answers) expect(answer).toMatchObject(refused);
  expect(new Set(answers.map((answer) => JSON.stringify(shape(answer)))).size).toBe(1);
});

test('R30: a caller sets no pair of ours, and its own are prefixed', async () => {
  for (const key of ['postern:purpose', 'aws-crypto-public-key', 'caller:record', '', '__proto__', '\ud800']) {
    const body = `{"plaintext":"","context":{${JSON.stringify(key)}:"x"}}`;
    const answer = await job.send(`${replica.url}/v1/encrypt`, {
      method: 'POST',
      body: JSON.parse(body) as unknown,
      token: await job.token({ scopes }),
    });
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_input' } });
    // That one is refused wherever it stands, before any schema is asked.
    expect(JSON.stringify(answer.body['errors'])).toContain(key === '__proto__' ? 'body.__proto__' : 'body.context');
  }
  const message = Buffer.from(await encrypted('x'), 'base64').toString('latin1');
  expect(message).toContain('caller:record');
  expect(message).toContain('postern:purpose\u0000\u0007transit');
});

test('R31: a rewrapped message is another one under the newest key version, and opens as before', async () => {
  const before = await encrypted('kept');
  await world.rotate('acme', 'transit');
  const answer = await post('/v1/rewrap', { ciphertext: before, context: record });
  const after = answer.body['ciphertext'] as string;
  expect(answer.status).toBe(200);
  const versionOf = (message: string) => {
    const bytes = Buffer.from(message, 'base64');
    const at = bytes.indexOf('aws-kms-hierarchy') + 17 + 2 + 36 + 2 + 28;
    return bytes.subarray(at, at + 16).toString('hex');
  };
  expect(versionOf(after)).not.toBe(versionOf(before));
  expect(messageIdOf(after)).not.toBe(messageIdOf(before));
  expect((await post('/v1/decrypt', { ciphertext: after, context: record })).body['plaintext']).toBe(base64('kept'));
});

test('R33: a key version that is disabled on the primary opens nothing, whatever this replica holds in memory', async () => {
  const ciphertext = await encrypted('once', { a: 'disabled' });
  const asked = { ciphertext, context: { a: 'disabled' } };
  expect((await post('/v1/decrypt', asked)).status).toBe(200);
  const state = (value: string) =>
    world.postgres.asAdmin(
      (client) =>
        client.query(
          `update branch_key_owners set state = $1 where tenant = 'acme' and purpose in ('transit', 'macs', 'data-keys')`,
          [value],
        ),
      world.database.name,
    );
  const mac = { name: 'orders', input: base64('x') };
  expect((await post('/v1/mac', mac, { held: ['mac:compute'] })).status).toBe(200);
  await state('disabled');
  for (const answer of [
    await post('/v1/decrypt', asked),
    await post('/v1/rewrap', asked),
    await post('/v1/encrypt', { plaintext: '' }),
    await post('/v1/mac', mac, { held: ['mac:compute'] }),
  ]) {
    expect(answer).toMatchObject(refused);
  }
  await state('enabled');
  expect((await post('/v1/decrypt', asked)).status).toBe(200);
});

test('each scope opens its own routes only', async () => {
  const id = randomUUID();
  for (const [path, body] of [
    ['/v1/encrypt', { plaintext: base64(id) }],
    ['/v1/decrypt', { ciphertext: '' }],
    ['/v1/rewrap', { ciphertext: '' }],
    ['/v1/data-keys', {}],
    ['/v1/mac', { name: 'a', input: '' }],
  ] as const) {
    expect((await post(path, body, { held: ['records:read', 'records:write'] })).body['code']).toBe(
      'insufficient_scope',
    );
  }
});
