import { randomBytes, randomUUID } from 'node:crypto';

import { createEnvelope, unwrapDataKey } from '@postern/envelope';

// A process of its own, `node seal-many.ts BRANCH_KEY COUNT`: seals under the branch key and writes for each message 24
// bytes: the beginnings of its message id, of the pair of salt and nonce its data key is wrapped with, and of the data key.

const [key = '', count = '0'] = process.argv.slice(2);
const branchKey = { id: 'reuse', version: Buffer.alloc(16), key: Buffer.from(key, 'hex') };
const envelope = createEnvelope({
  withActive: async (_id, use) => use(branchKey),
  withVersion: async (_id, _version, use) => use(branchKey),
});
const at = { branchKeyId: branchKey.id, context: { of: randomUUID() } };
const plaintext = randomBytes(16);

const BATCH = 1_000;
for (let left = Number(count); left > 0; left -= BATCH) {
  const out = Buffer.alloc(24 * Math.min(BATCH, left));
  for (let offset = 0; offset < out.length; offset += 24) {
    const message = await envelope.seal(plaintext, at);
    const contextEnd = 37 + message.readUInt16BE(35);
    const context = message.subarray(37, contextEnd);
    const wrappedAt = contextEnd + 4 + 17 + 2 + branchKey.id.length + 2;
    const wrapped = message.subarray(wrappedAt, wrappedAt + 92);
    message.copy(out, offset, 3, 11);
    wrapped.copy(out, offset + 8, 0, 8);
    unwrapDataKey(wrapped, branchKey, { branchKeyId: Buffer.from(branchKey.id), context }).copy(out, offset + 16, 0, 8);
  }
  if (!process.stdout.write(out)) await new Promise((resolve) => process.stdout.once('drain', resolve));
}
