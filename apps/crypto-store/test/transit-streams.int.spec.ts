import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { request } from 'undici';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { messageIdOf, openTransit, record, scopes, type TransitWorld } from './transit-world.ts';

let world: TransitWorld['world'];
let replica: TransitWorld['replica'];
let job: TransitWorld['job'];
let post: TransitWorld['post'];
let events: TransitWorld['events'];

beforeAll(async () => {
  ({ world, replica, job, post, events } = await openTransit());
});

afterAll(() => world.close());

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
