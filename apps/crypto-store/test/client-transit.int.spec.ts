import { randomBytes } from 'node:crypto';
import { createPostern, type Postern } from '@postern/client';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openWorld, type Caller, type Replica, type World } from './crypto-store.ts';

let world: World;
let replica: Replica;
let job: Caller;
let boundTo: string;
let postern: Postern;
let as: { token: string };

const scopes = [
  'transit:encrypt',
  'transit:decrypt',
  'transit:rewrap',
  'data-keys:create',
  'data-keys:decrypt',
  'mac:compute',
  'mac:verify',
  'records:read',
];

beforeAll(async () => {
  world = await openWorld();
  replica = await world.replica();
  const leaf = await world.postgres.authority.issue('job');
  job = await world.caller('job');
  boundTo = leaf.thumbprint;
  postern = createPostern({ tls: () => leaf, urls: { cryptoStore: replica.url } });
  as = { token: await job.token({ scopes, boundTo }) };
});

afterAll(async () => {
  await postern.close();
  await world.close();
});

const code = (call: Promise<unknown>) =>
  call.then(
    () => 'no error',
    (error: { code: string }) => error.code,
  );

async function* pieces(bytes: Uint8Array, size = 30_000) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function gathered(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const piece of stream) all.push(piece);
  return Buffer.concat(all);
}

/** How often each of these was recorded. */
async function recorded(action: string): Promise<number> {
  const { rows } = await world.postgres.asAdmin(
    (client) => client.query('select count(*)::int as count from audit_outbox where action = $1', [action]),
    world.database.name,
  );
  return (rows as { count: number }[])[0]?.count ?? 0;
}

const context = { order: 'o-17' };

test('encrypt, rewrap and decrypt: one, many, and streamed', async () => {
  const secret = randomBytes(200_000);
  const sealed = await postern.transit.encrypt(secret, as, { context });
  const again = await postern.transit.rewrap(sealed, as, { context });
  expect(Buffer.from(await postern.transit.decrypt(again, as, { context })).equals(secret)).toBe(true);
  expect(await code(postern.transit.decrypt(sealed, as))).toBe('ciphertext_refused');

  const [first, second] = await postern.transit.encryptBatch(
    [{ bytes: secret, reference: 'a', context }, { bytes: secret }],
    as,
  );
  const opened = await postern.transit.decryptBatch(
    [
      { bytes: first?.bytes ?? secret, reference: 'a', context },
      { bytes: second?.bytes ?? secret, context },
    ],
    as,
  );
  expect(opened[0]?.reference).toBe('a');
  expect(Buffer.from(opened[0]?.bytes ?? []).equals(secret)).toBe(true);
  expect(opened[1]).toEqual({ error: { code: 'ciphertext_refused' } });

  const streamed = await gathered(await postern.transit.encryptStream(pieces(secret), as, { context }));
  const rewrapped = await gathered(await postern.transit.rewrapStream(pieces(streamed), as, { context }));
  expect((await gathered(await postern.transit.decryptStream(pieces(rewrapped), as, { context }))).equals(secret)).toBe(
    true,
  );
  expect(await code(postern.transit.decryptStream(pieces(streamed), as))).toBe('ciphertext_refused');
  const cut = await postern.transit.decryptStream(pieces(streamed.subarray(0, -1)), as, { context });
  expect(await code(gathered(cut))).toBe('broken_off');
});

test('what is sealed locally is opened locally, whole and streamed, with its context only', async () => {
  const secret = randomBytes(150_000);
  const message = await postern.localEnvelope.seal(secret, as, { context });
  expect(Buffer.from(await postern.localEnvelope.open(message, as, { context })).equals(secret)).toBe(true);
  const streamed = await gathered(await postern.localEnvelope.sealStream(pieces(secret), as, { context }));
  const opened = await gathered(await postern.localEnvelope.openStream(pieces(streamed), as, { context }));
  expect(opened.equals(secret)).toBe(true);

  const altered = Buffer.from(message);
  altered[altered.length - 1]! ^= 1;
  expect(await code(postern.localEnvelope.open(message, as, { context: { order: 'o-18' } }))).toBe(
    'ciphertext_refused',
  );
  expect(await code(postern.localEnvelope.open(altered, as, { context }))).toBe('ciphertext_refused');
  expect(
    await code(postern.localEnvelope.openStream(pieces(streamed.subarray(0, -1)), as, { context }).then(gathered)),
  ).toBe('ciphertext_refused');
  expect(await code(postern.localEnvelope.seal(secret, as, { context: { 'postern:purpose': 'x' } }))).toBe(
    'invalid_input',
  );
  // R30: its key is of another purpose than the service's own.
  expect(await code(postern.transit.decrypt(message, as, { context }))).toBe('ciphertext_refused');
});

test('keys are kept: a key that was opened is not asked for again, fresh ones come several at a time, each for one message', async () => {
  const busy = { context: { of: 'the cache' } };
  const [created, opened] = [await recorded('data-key.created'), await recorded('data-key.opened')];
  const messages = [];
  for (let n = 0; n < 15; n += 1) messages.push(await postern.localEnvelope.seal(Buffer.from(`${n}`), as, busy));
  expect((await recorded('data-key.created')) - created).toBe(4);
  const wrappedOf = (message: Uint8Array) => {
    const bytes = Buffer.from(message);
    const at = bytes.indexOf('aws-kms-hierarchy') + 17 + 2 + 36 + 2;
    return bytes.subarray(at, at + 92).toString('hex');
  };
  expect(new Set(messages.map(wrappedOf)).size).toBe(15);
  for (let n = 0; n < 3; n += 1) await postern.localEnvelope.open(messages[0]!, as, busy);
  expect((await recorded('data-key.opened')) - opened).toBe(1);
});

test('a key that was opened for one caller is not another caller’s', async () => {
  const message = await postern.localEnvelope.seal(Buffer.from('x'), as, { context });
  await postern.localEnvelope.open(message, as, { context });
  const other = { token: await job.token({ scopes, boundTo, tenant: 'other' }) };
  expect(await code(postern.localEnvelope.open(message, other, { context }))).toBe('ciphertext_refused');
});

test('MACs and blind indexes', async () => {
  const mac = await postern.macs.compute('orders', Buffer.from('17'), as);
  expect(await postern.macs.verify('orders', Buffer.from('17'), mac, as)).toBe(true);
  expect(await postern.macs.verify('orders', Buffer.from('18'), mac, as)).toBe(false);
  // A name is a version of the key (ADR 25).
  expect(await postern.macs.verify('orders-2027', Buffer.from('17'), mac, as)).toBe(false);
  const [a, b] = await postern.macs.blindIndex('email', ['a@example', 'a@example'], as);
  expect(a).toBe(b);
});
