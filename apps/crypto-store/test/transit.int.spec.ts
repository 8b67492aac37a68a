import { randomBytes, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { request } from 'undici';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openWorld, type Caller, type Replica, type World } from './crypto-store.ts';

let world: World;
let replica: Replica;
let job: Caller;
let portal: Caller;

beforeAll(async () => {
  world = await openWorld();
  replica = await world.replica();
  [job, portal] = await Promise.all([world.caller('job'), world.caller('portal')]);
});

afterAll(() => world.close());

const scopes = ['transit:encrypt', 'transit:decrypt', 'transit:rewrap'];
const base64 = (text: string) => Buffer.from(text).toString('base64');
const record = { record: 'r-1' };

/** One call with all transit scopes, or others, of a tenant. */
async function post(path: string, body: unknown, { caller = job, tenant = 'acme', held = scopes } = {}) {
  const token = await caller.token({ scopes: held, tenant });
  return caller.send(`${replica.url}${path}`, { method: 'POST', body, token });
}

const encrypted = async (text: string, context: Record<string, string> = record) =>
  (await post('/v1/encrypt', { plaintext: base64(text), context })).body['ciphertext'] as string;

const refused = { status: 422, body: { code: 'ciphertext_refused' } };

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

async function events(action: string) {
  const { rows } = await world.postgres.asAdmin(
    (client) => client.query('select canonical from audit_outbox order by id'),
    world.database.name,
  );
  type Event = { action: string; outcome: string; reason?: string; details: Record<string, unknown> };
  return rows
    .map(({ canonical }: { canonical: Buffer }) => JSON.parse(canonical.toString()) as Event)
    .filter((event: Event) => event.action === action);
}

const messageIdOf = (ciphertext: string) => Buffer.from(ciphertext, 'base64').subarray(3, 35).toString('base64url');

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

test('a batch answers each item by itself, in order, with its reference, and is one event that counts', async () => {
  const plaintexts = Array.from({ length: 40 }, (_, n) => `item ${n}`);
  const items = plaintexts.map((text, n) => ({
    plaintext: base64(text),
    context: { n: `${n}` },
    reference: `ref-${n}`,
  }));
  const sealed = await post('/v1/encrypt/batch', { items });
  const results = sealed.body['results'] as { ciphertext: string; reference: string }[];
  expect(results.map(({ reference }) => reference)).toEqual(items.map(({ reference }) => reference));

  const wanted = results.map(({ ciphertext, reference }, n) => ({
    // Each third one is asked for with another context than its own.
    ciphertext,
    context: { n: `${n % 3 === 0 ? -1 : n}` },
    reference,
  }));
  const opened = await post('/v1/decrypt/batch', { items: wanted });
  expect(opened.body['results']).toEqual(
    plaintexts.map((text, n) => ({
      reference: `ref-${n}`,
      ...(n % 3 === 0 ? { error: { code: 'ciphertext_refused' } } : { plaintext: base64(text) }),
    })),
  );
  const [event] = (await events('data.decrypted')).slice(-1);
  expect(event?.details).toMatchObject({ count: 40, failed: 14, messages: expect.stringMatching(/^[\w-]{43}$/) });
  const rewrapped = await post('/v1/rewrap/batch', { items: wanted.slice(0, 2) });
  expect((rewrapped.body['results'] as object[]).map((one) => Object.keys(one))).toEqual([
    ['reference', 'error'],
    ['ciphertext', 'reference'],
  ]);
});

test('a batch of more than 1,000 items is refused by its rule', async () => {
  const items = Array.from({ length: 1_001 }, () => ({ plaintext: '' }));
  expect(await post('/v1/encrypt/batch', { items })).toMatchObject({ status: 400, body: { code: 'invalid_input' } });
});

const contextHeader = (context: object) => Buffer.from(JSON.stringify(context)).toString('base64url');

async function stream(path: string, body: AsyncIterable<Uint8Array>, context: object | string = record) {
  const answer = await request(`${replica.url}${path}`, {
    dispatcher: job.dispatcher,
    method: 'POST',
    headers: {
      authorization: `Bearer ${await job.token({ scopes })}`,
      'content-type': 'application/octet-stream',
      'postern-context': typeof context === 'string' ? context : contextHeader(context),
    },
    body: Readable.from(body),
  });
  return answer;
}

async function* pieces(bytes: Buffer, size = 50_000) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function gathered(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const piece of body) all.push(piece);
  return Buffer.concat(all);
}

test('bytes of any length are streamed through encrypt, rewrap and decrypt, in one message format with the rest', async () => {
  const plaintext = randomBytes(700_001);
  const sealed = await gathered((await stream('/v1/encrypt/stream', pieces(plaintext))).body);
  const rewrapped = await gathered((await stream('/v1/rewrap/stream', pieces(sealed))).body);
  expect(messageIdOf(rewrapped.toString('base64'))).not.toBe(messageIdOf(sealed.toString('base64')));
  const opened = await gathered((await stream('/v1/decrypt/stream', pieces(rewrapped))).body);
  expect(opened.equals(plaintext)).toBe(true);
  const whole = await post('/v1/decrypt', { ciphertext: rewrapped.toString('base64'), context: record });
  expect(Buffer.from(whole.body['plaintext'] as string, 'base64').equals(plaintext)).toBe(true);
  const message = messageIdOf(rewrapped.toString('base64'));
  expect((await events('data.decrypted')).slice(-3, -1)).toMatchObject([
    { outcome: 'intent', details: { message } },
    { outcome: 'success', details: { message, bytes: plaintext.length } },
  ]);
});

test('a stream that is cut or altered breaks off and is recorded; one for another context gets no byte', async () => {
  const sealed = await gathered((await stream('/v1/encrypt/stream', pieces(randomBytes(300_000)))).body);
  await expect(
    stream('/v1/decrypt/stream', pieces(sealed.subarray(0, -1))).then(({ body }) => gathered(body)),
  ).rejects.toThrow();
  const [failed] = (await events('data.decrypted')).slice(-1);
  expect(failed).toMatchObject({ outcome: 'failed', reason: 'ciphertext_refused' });

  const elsewhere = await stream('/v1/decrypt/stream', pieces(sealed), { record: 'another' });
  expect([elsewhere.statusCode, await elsewhere.body.json()]).toMatchObject([422, { code: 'ciphertext_refused' }]);
  for (const context of ['no json', contextHeader({ 'postern:x': '' }), contextHeader([1])]) {
    const answer = await stream('/v1/encrypt/stream', pieces(Buffer.alloc(1)), context);
    expect([answer.statusCode, await answer.body.json()]).toMatchObject([400, { code: 'invalid_input' }]);
  }
});

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
