import { randomBytes, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { expect, test } from '@jest/globals';
import { createEnvelope, EnvelopeRefused, serializeContext, type SealedAt } from '../src/index.ts';
import { finalFrame, messageByHand, regularFrame, unframedBody, type ByHand } from './by-hand.ts';
import { fixedKeys, uuidBytes } from './fixed-keys.ts';
import { gathered, inPieces } from './pieces.ts';
import { stockSdk } from '@postern/testing/encryption-sdk';

const version = randomUUID();
const branchKey = { id: randomUUID(), version: uuidBytes(version), key: randomBytes(32) };
const sdk = stockSdk({ ...branchKey, version });
const envelope = createEnvelope(fixedKeys(branchKey));
const at: SealedAt = { branchKeyId: branchKey.id, context: { record: randomUUID() } };
const FRAME = 65_536;
const owned = { lent: false };
const lent = { lent: true };

const sealed = async (plaintext: Uint8Array, pieceBytes = FRAME, pieces = owned) =>
  gathered((await envelope.sealStream(inPieces(plaintext, pieceBytes), at, pieces)).pieces);

/** What came out before the end or the refusal, and whether it was one. */
async function opened(message: AsyncIterable<Uint8Array>, pieces = owned) {
  const out: Buffer[] = [];
  try {
    for await (const piece of (await envelope.openStream(message, at, pieces)).pieces) out.push(Buffer.from(piece));
    return { plaintext: Buffer.concat(out), refused: null };
  } catch (error) {
    if (!(error instanceof EnvelopeRefused)) throw error;
    expect(error.message).toBe('the sealed message was refused');
    return { plaintext: Buffer.concat(out), refused: error.reason };
  }
}

const lengths = [0, 1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME, 200_000];

test.each(lengths)('%i bytes: stream, whole message and stock SDK open what each of them sealed', async (length) => {
  const plaintext = randomBytes(length);
  for (const pieceBytes of [777, FRAME, 3 * FRAME]) {
    const message = await sealed(plaintext, pieceBytes);
    expect((await sdk.open(message)).plaintext.equals(plaintext)).toBe(true);
    expect((await envelope.open(message, at)).equals(plaintext)).toBe(true);
    expect((await opened(inPieces(message, pieceBytes))).plaintext.equals(plaintext)).toBe(true);
  }
  for (const message of [await envelope.seal(plaintext, at), await sdk.seal(plaintext, at.context, 4096)]) {
    expect((await opened(inPieces(message, 1000))).plaintext.equals(plaintext)).toBe(true);
  }
});

test('pieces that are lent hold the same bytes while they are lent', async () => {
  const plaintext = randomBytes(5 * FRAME + 17);
  const message = await sealed(plaintext, 10_000, lent);
  expect((await envelope.open(message, at)).equals(plaintext)).toBe(true);
  expect((await opened(inPieces(message, 10_000), lent)).plaintext.equals(plaintext)).toBe(true);
});

test('one byte at a time, also within lengths and marks', async () => {
  const plaintext = randomBytes(50);
  const message = await sealed(plaintext, 1);
  expect((await opened(inPieces(message, 1))).plaintext.equals(plaintext)).toBe(true);
});

test('a Node stream and a Web stream are sources as they are', async () => {
  const plaintext = randomBytes(2 * FRAME);
  const halves = [plaintext.subarray(0, FRAME), plaintext.subarray(FRAME)];
  const message = await gathered((await envelope.sealStream(Readable.from(halves), at)).pieces);
  const web = ReadableStream.from([message]);
  expect((await opened(web)).plaintext.equals(plaintext)).toBe(true);
});

test('cut at any byte, a stream ends with a refusal, and gave out whole verified frames only', async () => {
  const frames = (key: Buffer, id: Buffer) => [1, 2].map((n) => regularFrame(key, id, n, Buffer.alloc(64, n)));
  const message = messageByHand({
    branchKey,
    context: serializeContext(at.context),
    plaintext: Buffer.alloc(0),
    frameLength: 64,
    body: (key, id) => Buffer.concat([...frames(key, id), finalFrame(key, id, 3, Buffer.from('end'))]),
  });
  const whole = Buffer.concat([Buffer.alloc(64, 1), Buffer.alloc(64, 2), Buffer.from('end')]);
  expect((await opened(inPieces(message, 50))).plaintext.equals(whole)).toBe(true);
  for (let length = 0; length < message.length; length += 1) {
    const { plaintext, refused } = await opened(inPieces(message.subarray(0, length), 50));
    expect(refused).not.toBeNull();
    expect(plaintext.length % 64).toBe(0);
    expect(plaintext.equals(whole.subarray(0, plaintext.length))).toBe(true);
  }
  expect((await opened(inPieces(Buffer.concat([message, Buffer.from([0])]), 50))).refused).toBe('malformed');
});

test('a flipped bit gives out nothing of its own frame, nor of any after it', async () => {
  const plaintext = randomBytes(2 * FRAME + 100);
  const message = await sealed(plaintext);
  const body = message.length - (plaintext.length + 2 * 32 + 40);
  for (const [at, frames] of [
    [body - 1, 0],
    [body + 20, 0],
    [body + FRAME + 31, 0],
    [body + FRAME + 32, 1],
    [message.length - 1, 2],
  ] as const) {
    const flipped = Buffer.from(message);
    flipped[at]! ^= 1;
    const { plaintext: released, refused } = await opened(inPieces(flipped, 5000));
    expect({ released: released.length, refused: refused !== null }).toEqual({
      released: frames * FRAME,
      refused: true,
    });
  }
});

test('frames out of order, repeated or left out are refused in a stream', async () => {
  const content = Buffer.alloc(64, 1);
  const with_ = (choose: (made: Buffer[]) => (Buffer | undefined)[]) => {
    const body: ByHand['body'] = (key, id) => {
      const made = [
        regularFrame(key, id, 1, content),
        regularFrame(key, id, 2, content),
        finalFrame(key, id, 3, content),
      ];
      return Buffer.concat(choose(made).filter((part) => part !== undefined));
    };
    const context = serializeContext(at.context);
    return inPieces(messageByHand({ branchKey, context, plaintext: content, frameLength: 64, body }), 33);
  };
  expect((await opened(with_((made) => made))).refused).toBeNull();
  expect((await opened(with_(([first, , last]) => [first, last]))).refused).toBe('malformed');
  expect((await opened(with_(([first, second, last]) => [second, first, last]))).refused).toBe('malformed');
  expect((await opened(with_(([first, second, last]) => [first, first, second, last]))).refused).toBe('malformed');
  expect((await opened(with_(([first, second]) => [first, second]))).refused).toBe('malformed');
});

test('a body that is not framed is given out whole, after its tag', async () => {
  const plaintext = Buffer.from('not framed');
  const body: ByHand['body'] = (key, id) => unframedBody(key, id, plaintext);
  const message = messageByHand({ branchKey, context: serializeContext(at.context), plaintext, contentType: 1, body });
  expect((await opened(inPieces(message, 7))).plaintext.equals(plaintext)).toBe(true);
  const { plaintext: released, refused } = await opened(inPieces(message.subarray(0, -1), 7));
  expect({ released: released.length, refused }).toEqual({ released: 0, refused: 'malformed' });
});

test('a source is read at the pace of the reader, one frame ahead at most, and closed when the reader stops', async () => {
  let given = 0;
  let closed = false;
  async function* endless() {
    try {
      for (;;) {
        given += 1;
        yield Buffer.alloc(FRAME);
      }
    } finally {
      closed = true;
    }
  }
  let read = 0;
  for await (const _piece of (await envelope.sealStream(endless(), at)).pieces) {
    read += 1;
    expect(given).toBeLessThanOrEqual(read + 1);
    if (read === 10) break;
  }
  expect(closed).toBe(true);

  given = 0;
  closed = false;
  await expect(envelope.openStream(endless(), at)).rejects.toThrow(EnvelopeRefused);
  expect({ given, closed }).toEqual({ given: 1, closed: true });
});

test('lengths that a stream claims are refused before they are waited for (R29)', async () => {
  const context = serializeContext(at.context);
  const message = messageByHand({ branchKey, context, plaintext: Buffer.alloc(9) });
  const claims = (offset: number, write: (field: Buffer) => void) => {
    const changed = Buffer.from(message);
    write(changed.subarray(offset));
    return changed;
  };
  const finalLengthAt = message.length - 16 - 9 - 4;
  for (const [changed, reason] of [
    [claims(35, (field) => field.writeUInt16BE(0xffff)), 'limit'],
    [claims(37 + context.length + 4 + 17, (field) => field.writeUInt16BE(0xffff)), 'limit'],
    [claims(finalLengthAt, (field) => field.writeUInt32BE(0xffffff00)), 'limit'],
  ] as const) {
    let taken = 0;
    async function* unending() {
      yield changed;
      for (; taken < 100; taken += 1) yield Buffer.alloc(FRAME);
    }
    expect((await opened(unending())).refused).toBe(reason);
    expect(taken).toBeLessThanOrEqual(1);
  }
});

test('an error of the source goes through, on both ways', async () => {
  async function* failing() {
    yield Buffer.alloc(10);
    throw new Error('the disk is gone');
  }
  await expect(envelope.sealStream(failing(), at).then(({ pieces }) => gathered(pieces))).rejects.toThrow(
    'the disk is gone',
  );
  await expect(envelope.openStream(failing(), at)).rejects.toThrow('the disk is gone');
});
