import { randomBytes, randomUUID } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { createEnvelope, EnvelopeRefused, freshDataKey, serializeContext, type SealedAt } from '../src/index.ts';
import { sealMessage } from '../src/seal.ts';
import { finalFrame, messageByHand, regularFrame, unframedBody, type ByHand } from './by-hand.ts';
import { fixedKeys, uuidBytes } from './fixed-keys.ts';
import { stockSdk } from '@postern/testing/encryption-sdk';

const version = randomUUID();
const ours = { id: randomUUID(), version: uuidBytes(version), key: randomBytes(32) };
const theirs = { id: randomUUID(), version: uuidBytes(randomUUID()), key: randomBytes(32) };
const envelope = createEnvelope(fixedKeys(ours, theirs));
const at: SealedAt = { branchKeyId: ours.id, context: { record: randomUUID(), version: '1' } };
const secret = Buffer.from('canary-secret');

/** Why `message` was refused; fails when it was opened, or when the error shows anything outside. */
async function refusal(message: Uint8Array, expected: SealedAt = at): Promise<string> {
  const error: unknown = await envelope.open(message, expected).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof EnvelopeRefused)) throw new Error('the message was not refused');
  expect(error.message).toBe('the sealed message was refused');
  return error.reason;
}

const unframed = (key: Buffer, id: Buffer) => unframedBody(key, id, secret);

/** Offsets of the fields, from data-format/message-header.md: all lengths before them are fixed here. */
function layout() {
  const context = serializeContext(at.context).length;
  const contextLength = 1 + 2 + 32;
  const keyCount = contextLength + 2 + context;
  const provider = keyCount + 2;
  const dataKey = provider + 2 + 17 + 2 + ours.id.length + 2;
  const contentType = dataKey + 92;
  const frameLength = contentType + 1;
  const commitment = frameLength + 4;
  return { contextLength, keyCount, provider, dataKey, contentType, frameLength, commitment, tag: commitment + 32 };
}

/** A message written from the specification, with what a test wants wrong in it. */
const byHand = (change: Partial<ByHand> = {}) =>
  messageByHand({ branchKey: ours, context: serializeContext(at.context), plaintext: secret, ...change });

test('a message made by hand from the specification opens, so the refusals below are about what was changed', async () => {
  expect((await envelope.open(byHand(), at)).toString()).toBe('canary-secret');
});

test('every single flipped bit is refused, with one error outside', async () => {
  const message = await envelope.seal(secret, at);
  for (let bit = 0; bit < message.length * 8; bit += 1) {
    const flipped = Buffer.from(message);
    flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    await refusal(flipped);
  }
});

test('every truncation is refused, and so is anything after the end', async () => {
  const message = await envelope.seal(randomBytes(9000), at);
  for (let length = 0; length < message.length; length += length < 700 ? 1 : 97) {
    await refusal(message.subarray(0, length));
  }
  expect(await refusal(Buffer.concat([message, Buffer.from([0])]))).toBe('malformed');
});

test('a message opens only under its own branch key, context and version of the record', async () => {
  const message = await envelope.seal(secret, at);
  expect(await refusal(message, { ...at, branchKeyId: theirs.id })).toBe('branch_key');
  expect(await refusal(message, { ...at, context: { ...at.context, version: '2' } })).toBe('context');
  expect(await refusal(message, { ...at, context: { ...at.context, more: '' } })).toBe('context');
  expect(await refusal(message, { ...at, context: {} })).toBe('context');
});

test('data keys, contexts and bodies cannot be moved between two messages', async () => {
  const { dataKey, contentType, contextLength, keyCount, tag } = layout();
  const first = await envelope.seal(secret, at);
  const second = await envelope.seal(secret, at);
  const swapped = (from: number, to: number) =>
    Buffer.concat([first.subarray(0, from), second.subarray(from, to), first.subarray(to)]);
  expect(await refusal(swapped(dataKey, contentType))).toBe('commitment');
  expect(await refusal(swapped(tag + 16, second.length))).toBe('body');
  expect(await refusal(swapped(3, 35))).toBe('commitment');

  const other = { ...at, context: { record: randomUUID(), version: '1' } };
  const elsewhere = await envelope.seal(secret, other);
  const renamed = Buffer.concat([
    elsewhere.subarray(0, contextLength),
    first.subarray(contextLength, keyCount),
    elsewhere.subarray(keyCount),
  ]);
  expect(await refusal(renamed)).toBe('data_key');
});

test('a version of another branch key is refused even where the id was rewritten', async () => {
  const { provider, dataKey } = layout();
  const foreign = await envelope.seal(secret, { ...at, branchKeyId: theirs.id });
  const id = provider + 2 + 17 + 2;
  const renamed = Buffer.concat([foreign.subarray(0, id), Buffer.from(ours.id), foreign.subarray(dataKey - 2)]);
  expect(await refusal(renamed)).toBe('branch_key');
});

test('a wrong commitment is refused before the body is looked at', async () => {
  const message = byHand({ commitment: randomBytes(32), body: () => Buffer.alloc(0) });
  expect(await refusal(message)).toBe('commitment');
});

test('a key that fits two messages cannot be had: the commitment names one data key', async () => {
  const { commitment } = layout();
  const message = await envelope.seal(secret, at);
  const other = await envelope.seal(secret, at);
  other.copy(message, commitment, commitment, commitment + 32);
  expect(await refusal(message)).toBe('commitment');
});

test('exactly one encrypted data key is taken (R29)', async () => {
  expect(await refusal(byHand({ dataKeys: 0 }))).toBe('data_key');
  expect(await refusal(byHand({ dataKeys: 2 }))).toBe('data_key');
});

test('other versions and suites are refused by their first bytes', async () => {
  const message = byHand();
  for (const [offset, byte] of [
    [0, 1],
    [1, 5],
    [2, 0x77],
  ] as const) {
    const changed = Buffer.from(message);
    changed[offset] = byte;
    expect(await refusal(changed)).toBe('unsupported');
  }
});

test('lengths beyond our bounds are refused before anything is allocated for them (R29)', async () => {
  const { contextLength, provider, frameLength } = layout();
  const message = byHand();
  const long = (offset: number, write: (changed: Buffer) => void) => {
    const changed = Buffer.from(message);
    write(changed.subarray(offset));
    return changed;
  };
  expect(await refusal(long(contextLength, (field) => field.writeUInt16BE(0xffff)))).toBe('limit');
  expect(await refusal(long(provider, (field) => field.writeUInt16BE(0xffff)))).toBe('data_key');
  expect(await refusal(long(provider + 2 + 17, (field) => field.writeUInt16BE(0xffff)))).toBe('limit');
  expect(await refusal(long(frameLength, (field) => field.writeUInt32BE(0xffffffff)))).toBe('limit');
  expect(await refusal(long(frameLength, (field) => field.writeUInt32BE(0)))).toBe('limit');
});

test('a tag shorter than 16 bytes is never accepted', async () => {
  const message = await envelope.seal(secret, at);
  for (const bytes of [4, 8, 12, 15]) await refusal(message.subarray(0, message.length - bytes));
});

test('frames cannot be dropped, repeated, reordered, or taken for the final one', async () => {
  const full = randomBytes(4096);
  const frames = (key: Buffer, id: Buffer) => [
    regularFrame(key, id, 1, full),
    regularFrame(key, id, 2, full),
    finalFrame(key, id, 3, secret),
  ];
  const with_ = (choose: (made: Buffer[]) => (Buffer | undefined)[]) =>
    byHand({ body: (key, id) => Buffer.concat(choose(frames(key, id)).filter((part) => part !== undefined)) });
  expect(
    (
      await envelope.open(
        with_((made) => made),
        at,
      )
    ).length,
  ).toBe(2 * 4096 + secret.length);
  await refusal(with_(([first, , last]) => [first, last]));
  await refusal(with_(([first, second, last]) => [second, first, last]));
  await refusal(with_(([first, second, last]) => [first, first, second, last]));
  await refusal(with_(([first, second]) => [first, second]));
  await refusal(with_(([, , last]) => [last]));
  await refusal(with_(([first, second, last]) => [first, second, last, last]));
  await refusal(byHand({ body: (key, id) => finalFrame(key, id, 0, secret) }));
  await refusal(byHand({ body: (key, id) => finalFrame(key, id, 2, secret) }));
  await refusal(byHand({ body: (key, id) => finalFrame(key, id, 1, randomBytes(4097)) }));
});

test('an unframed message is read, also by the stock SDK, and refused when altered (R29)', async () => {
  const message = byHand({ contentType: 1, body: unframed });
  expect((await envelope.open(message, at)).toString()).toBe('canary-secret');
  expect((await stockSdk({ ...ours, version }).open(message)).plaintext.toString()).toBe('canary-secret');

  const { tag } = layout();
  for (let offset = tag + 16; offset < message.length; offset += 1) {
    const changed = Buffer.from(message);
    changed.writeUInt8(changed.readUInt8(offset) ^ 1, offset);
    await refusal(changed);
  }
  await refusal(message.subarray(0, -1));
  await refusal(Buffer.concat([message, Buffer.from([0])]));
  await refusal(byHand({ contentType: 1, frameLength: 4096, body: unframed }));
  await refusal(byHand({ contentType: 3, frameLength: 0, body: unframed }));
});

test('what the stock SDK sealed for another context is refused', async () => {
  const message = await stockSdk({ ...ours, version }).seal(secret, { other: 'context' });
  expect(await refusal(message)).toBe('context');
});

test('every message has a data key, message id, salt and nonce of its own (R29)', async () => {
  const { dataKey } = layout();
  const seen = new Set<string>();
  for (let count = 0; count < 2_000; count += 1) {
    const message = await envelope.seal(secret, at);
    seen.add(message.subarray(3, 35).toString('hex')).add(message.subarray(dataKey, dataKey + 28).toString('hex'));
  }
  expect(seen.size).toBe(4_000);
});

test('a data key that was used once seals no second message (R29)', () => {
  const dataKey = freshDataKey(ours, serializeContext(at.context));
  sealMessage(secret, dataKey, serializeContext(at.context));
  expect(dataKey.plaintext).toEqual(Buffer.alloc(32));
  expect(() => sealMessage(secret, dataKey, serializeContext(at.context))).toThrow(TypeError);
});

test('text that has no UTF-8 form is refused in a context: two of them would have the same bytes', async () => {
  for (const context of [{ '\ud800': '' }, { a: '\udfff' }]) {
    await expect(envelope.seal(secret, { ...at, context })).rejects.toThrow(TypeError);
  }
});

test('a context that is ours alone to set, or too long, is a fault of the caller', async () => {
  await expect(envelope.seal(secret, { ...at, context: { 'aws-crypto-x': '' } })).rejects.toThrow(TypeError);
  await expect(envelope.seal(secret, { ...at, context: { '': '' } })).rejects.toThrow(TypeError);
  await expect(envelope.seal(secret, { ...at, context: { a: 'x'.repeat(9000) } })).rejects.toThrow(TypeError);
});

test('the order of the pairs does not matter, their bytes do', () => {
  expect(serializeContext({ b: '2', a: '1' })).toEqual(serializeContext({ a: '1', b: '2' }));
  // U+FF21 sorts before U+1F600 in UTF-8, after it in UTF-16.
  const bytes = serializeContext({ '\u{1f600}': '', '\uff21': '' });
  expect(bytes.indexOf(Buffer.from('\uff21'))).toBeLessThan(bytes.indexOf(Buffer.from('\u{1f600}')));
});
