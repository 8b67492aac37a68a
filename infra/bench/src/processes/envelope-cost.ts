import { createEnvelope, type SealedAt } from '@postern/envelope';
import { createCipheriv, createDecipheriv, createSecretKey, randomBytes, randomUUID } from 'node:crypto';

import { perCpuSecond } from '../measure.ts';
import { openedByPrimitives, sealedByPrimitives } from './message-primitives.ts';

// A process of its own for each measurement, `node envelope-cost.ts NAME`: what one side leaves to the collector would be
// counted on the other, and a heap full of other libraries makes collecting dear.

const KIB = 1024;
const STREAM_BYTES = 64 * KIB * KIB;
const PIECE_BYTES = 64 * KIB;
const MEASURE_MS = 400;
/** More than the envelope keeps keys of: each open finds its key anew, as the floor does. */
const DIFFERENT_MESSAGES = 10_000;

const held = { id: randomUUID(), version: randomBytes(16), key: randomBytes(32) };
const envelope = createEnvelope({
  withActive: async (_id, use) => use(held),
  withVersion: async (_id, _version, use) => use(held),
});
let counter = 0;
const at = (): SealedAt => ({ branchKeyId: held.id, context: { record: `r-${(counter += 1)}`, version: '1' } });
/** The reader here is done with each piece when it asks for the next. */
const lent = { lent: true };

async function* piecesOf(bytes: Buffer) {
  for (let from = 0; from < bytes.length; from += PIECE_BYTES) yield bytes.subarray(from, from + PIECE_BYTES);
}

async function drained(stream: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _piece of stream);
}

/** MiB of the stream for which a second of CPU time is enough; the best of some, after the first that compiles it all. */
async function streamed(once: () => Promise<unknown>): Promise<number> {
  const rates = [];
  for (let round = 0; round < 5; round += 1) {
    const before = process.cpuUsage();
    await once();
    const { user, system } = process.cpuUsage(before);
    rates.push(STREAM_BYTES / KIB / KIB / ((user + system) / 1e6));
  }
  return Math.max(...rates.slice(1));
}

async function messages(once: () => unknown): Promise<number> {
  await perCpuSecond(once, MEASURE_MS);
  return perCpuSecond(once, MEASURE_MS);
}

const measurements: Record<string, () => Promise<number>> = {
  seal: () => {
    const plaintext = randomBytes(KIB);
    return messages(() => envelope.seal(plaintext, at()));
  },
  'seal-primitives': () => {
    const plaintext = randomBytes(KIB);
    return messages(() => sealedByPrimitives(held.key, plaintext));
  },
  open: async () => {
    const where = at();
    const sealed: Buffer[] = [];
    while (sealed.length < DIFFERENT_MESSAGES) sealed.push(await envelope.seal(randomBytes(KIB), where));
    let next = 0;
    return messages(() => envelope.open(sealed[(next += 1) % DIFFERENT_MESSAGES] ?? sealed[0]!, where));
  },
  'open-primitives': () => {
    const sealed = sealedByPrimitives(held.key, randomBytes(KIB));
    return messages(() => openedByPrimitives(held.key, sealed));
  },
  'seal-stream': () => {
    const plaintext = randomBytes(STREAM_BYTES);
    return streamed(async () => drained((await envelope.sealStream(piecesOf(plaintext), at(), lent)).pieces));
  },
  'encrypt-stream': () => {
    const plaintext = randomBytes(STREAM_BYTES);
    return streamed(async () => {
      const cipher = createCipheriv('aes-256-gcm', createSecretKey(held.key), randomBytes(12));
      for await (const piece of piecesOf(plaintext)) cipher.update(piece);
      cipher.final();
    });
  },
  'open-stream': async () => {
    const where = at();
    const message = await envelope.seal(randomBytes(STREAM_BYTES), where);
    return streamed(async () => drained((await envelope.openStream(piecesOf(message), where, lent)).pieces));
  },
  'decrypt-stream': () => {
    const [key, iv] = [createSecretKey(held.key), randomBytes(12)];
    const cipher = createCipheriv('aes-256-gcm', key, iv);
    const ciphertext = cipher.update(randomBytes(STREAM_BYTES));
    cipher.final();
    return streamed(async () => {
      const decipher = createDecipheriv('aes-256-gcm', key, iv).setAuthTag(cipher.getAuthTag());
      for await (const piece of piecesOf(ciphertext)) decipher.update(piece);
      decipher.final();
    });
  },
};

const measurement = measurements[process.argv[2] ?? ''];
if (measurement === undefined) throw new Error(`there are ${Object.keys(measurements).join(', ')}`);
process.stdout.write(String(await measurement()));
