import { createEnvelope } from '@postern/envelope';
import { randomBytes, randomUUID } from 'node:crypto';

// A process of its own: seals and opens 64 MiB as one stream and prints by how many MiB its memory grew above what it was
// before, after a first MiB that loaded and compiled what there is.

const MIB = 1024 * 1024;
const PIECE = Buffer.alloc(64 * 1024, 1);
const held = { id: randomUUID(), version: randomBytes(16), key: randomBytes(32) };
const envelope = createEnvelope({
  withActive: async (_id, use) => use(held),
  withVersion: async (_id, _version, use) => use(held),
});
const at = { branchKeyId: held.id, context: {} };

async function* pieces(bytes: number) {
  for (let sent = 0; sent < bytes; sent += PIECE.length) yield PIECE;
}

async function highestDuring(bytes: number): Promise<number> {
  const lent = { lent: true };
  // Sealed pieces are gathered while the next is asked for, so these are the reader's own.
  const { pieces: sealed } = await envelope.sealStream(pieces(bytes), at);
  const { pieces: opened } = await envelope.openStream(sealed, at, lent);
  let highest = 0;
  let read = 0;
  for await (const piece of opened) {
    read += piece.length;
    highest = Math.max(highest, process.memoryUsage.rss());
  }
  if (read !== bytes) throw new Error('the stream is not what was sealed');
  return highest;
}

await highestDuring(MIB);
const idle = process.memoryUsage.rss();
process.stdout.write(String(((await highestDuring(64 * MIB)) - idle) / MIB));
