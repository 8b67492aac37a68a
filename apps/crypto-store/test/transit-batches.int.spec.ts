import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { base64, openTransit, type TransitWorld } from './transit-world.ts';

let world: TransitWorld['world'];
let post: TransitWorld['post'];
let events: TransitWorld['events'];

beforeAll(async () => {
  ({ world, post, events } = await openTransit());
});

afterAll(() => world.close());

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
