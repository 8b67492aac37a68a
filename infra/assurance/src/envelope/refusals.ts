import { randomUUID } from 'node:crypto';

import { EnvelopeRefused, type SealedAt } from '@postern/envelope';

import { type Case, type Circumstances, type Findings, type Scale } from '../assess.ts';
import { seeded, type Random } from '../random.ts';
import { heldKeys } from './held-keys.ts';

/** Messages that are attacked bit by bit and byte by byte; and random changes beside. */
const extents: Record<Scale, { messages: number; changes: number }> = {
  small: { messages: 1, changes: 300 },
  default: { messages: 8, changes: 20_000 },
  full: { messages: 40, changes: 1_000_000 },
};

type Attack = { what: string; message: Buffer; expected: SealedAt };
type Sealed = { message: Buffer; at: SealedAt; plaintext: Buffer };

const MESSAGE_ID_AT = 3;
const CONTEXT_AT = 37;
const WRAPPED_BYTES = 92;
const COMMITMENT_BYTES = 32;
const TAG_BYTES = 16;

/** Where the fields of a message are, by its own lengths (data-format/message-header.md). */
function fieldsOf(message: Buffer) {
  const contextEnd = CONTEXT_AT + message.readUInt16BE(MESSAGE_ID_AT + 32);
  const idAt = contextEnd + 4 + 17 + 2;
  const wrappedAt = idAt + message.readUInt16BE(idAt - 2) + 2;
  const commitmentAt = wrappedAt + WRAPPED_BYTES + 5;
  const bodyAt = commitmentAt + COMMITMENT_BYTES + TAG_BYTES;
  return { contextEnd, idAt, wrappedAt, commitmentAt, bodyAt };
}

/** Every bit flipped, every length cut, tags too short. */
function* ofOne({ message, at }: Sealed): Generator<Attack> {
  for (let bit = 0; bit < message.length * 8; bit += 1) {
    const flipped = Buffer.from(message);
    flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    yield { what: `bit ${bit}`, message: flipped, expected: at };
  }
  for (let length = 0; length < message.length; length += 1)
    yield { what: `cut at ${length}`, message: message.subarray(0, length), expected: at };
  yield { what: 'a byte more', message: Buffer.concat([message, Buffer.alloc(1)]), expected: at };
  const { bodyAt } = fieldsOf(message);
  for (let tag = 4; tag < TAG_BYTES; tag += 1) {
    const header = Buffer.concat([message.subarray(0, bodyAt - TAG_BYTES + tag), message.subarray(bodyAt)]);
    yield { what: `a header tag of ${tag} bytes`, message: header, expected: at };
  }
  for (const [version, suite] of [
    [1, 0x0478],
    [3, 0x0478],
    [2, 0x0578],
    [2, 0x0178],
    [2, 0x0014],
  ] as const) {
    const other = Buffer.from(message);
    other.writeUInt8(version, 0);
    other.writeUInt16BE(suite, 1);
    yield { what: `version ${version}, suite ${suite.toString(16)}`, message: other, expected: at };
  }
}

/** One message in the place of another, and parts of one in the other. */
function* ofTwo(one: Sealed, other: Sealed): Generator<Attack> {
  yield { what: 'the place of another', message: one.message, expected: other.at };
  yield {
    what: 'the context of another',
    message: one.message,
    expected: { ...one.at, context: other.at.context },
  };
  yield {
    what: 'the branch key of another',
    message: one.message,
    expected: { ...one.at, branchKeyId: other.at.branchKeyId },
  };
  const [a, b] = [fieldsOf(one.message), fieldsOf(other.message)];
  const parts = [
    ['message id', MESSAGE_ID_AT, MESSAGE_ID_AT + 32, MESSAGE_ID_AT, MESSAGE_ID_AT + 32],
    ['context', MESSAGE_ID_AT + 32, a.contextEnd, MESSAGE_ID_AT + 32, b.contextEnd],
    ['branch key id', a.idAt - 2, a.wrappedAt - 2, b.idAt - 2, b.wrappedAt - 2],
    ['data key', a.wrappedAt, a.wrappedAt + WRAPPED_BYTES, b.wrappedAt, b.wrappedAt + WRAPPED_BYTES],
    ['commitment', a.commitmentAt, a.commitmentAt + 32, b.commitmentAt, b.commitmentAt + 32],
    ['header tag', a.bodyAt - TAG_BYTES, a.bodyAt, b.bodyAt - TAG_BYTES, b.bodyAt],
    ['header', 0, a.bodyAt, 0, b.bodyAt],
    ['body', a.bodyAt, one.message.length, b.bodyAt, other.message.length],
  ] as const;
  for (const [name, from, to, otherFrom, otherTo] of parts) {
    const mixed = Buffer.concat([
      one.message.subarray(0, from),
      other.message.subarray(otherFrom, otherTo),
      one.message.subarray(to),
    ]);
    for (const { at } of [one, other]) yield { what: `the ${name} of another`, message: mixed, expected: at };
  }
}

/** Some bytes changed, moved or doubled, anywhere. */
function changed(random: Random, { message, at }: Sealed): Attack {
  const [from, to] = [random.between(0, message.length - 1), random.between(0, message.length - 1)];
  const [low, high] = [Math.min(from, to), Math.max(from, to) + 1];
  const how = random.between(0, 3);
  const middle = Buffer.from(message.subarray(low, high));
  if (how === 0) for (let byte = 0; byte < middle.length; byte += 1) middle[byte] = random.between(0, 255);
  else if (how === 1) middle.reverse();
  const again = how === 2 ? [middle, middle] : how === 3 ? [] : [middle];
  const attacked = Buffer.concat([message.subarray(0, low), ...again, message.subarray(high)]);
  return { what: `change ${how} of ${low} to ${high}`, message: attacked, expected: at };
}

export const envelopeRefusals: Case = {
  name: 'envelope/refusals',
  guarantee: 'a message that was altered, cut, mixed or put elsewhere is refused, with one error and no plaintext',
  async run({ scale, seed }: Circumstances): Promise<Findings> {
    const random = seeded(seed);
    const { messages, changes } = extents[scale];
    const { envelope, ids } = heldKeys(4);
    const sealed: Sealed[] = [];
    for (let made = 0; made < messages + 1; made += 1) {
      const at = {
        branchKeyId: ids[made % ids.length] ?? '',
        context: { record: randomUUID(), version: `${made}`, 'postern:purpose': made % 2 ? 'records' : 'transit' },
      };
      const plaintext = Buffer.alloc(random.between(0, 200), made);
      sealed.push({ at, plaintext, message: await envelope.seal(plaintext, at) });
    }
    const failed: string[] = [];
    let tried = 0;
    const attempt = async ({ what, message, expected }: Attack, unchanged: Buffer): Promise<void> => {
      if (message.equals(unchanged)) return;
      tried += 1;
      const outcome = await envelope.open(message, expected).then(
        () => 'was opened',
        (error: unknown) =>
          error instanceof EnvelopeRefused && error.message === 'the sealed message was refused' ? '' : String(error),
      );
      if (outcome !== '') failed.push(`${what}: ${outcome}`);
    };
    const nothing = Buffer.alloc(0);
    for (const [index, one] of sealed.slice(1).entries()) {
      if (!(await envelope.open(one.message, one.at)).equals(one.plaintext))
        failed.push('a good message is not opened');
      for (const attack of ofOne(one)) await attempt(attack, one.message);
      for (const attack of ofTwo(one, sealed[index] as Sealed)) await attempt(attack, nothing);
    }
    for (let count = 0; count < changes; count += 1) {
      const one = random.pick(sealed) as Sealed;
      await attempt(changed(random, one), one.message);
    }
    return { tried, failed, lost: [] };
  },
};
