import { once } from 'node:events';
import { request } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';

import { residentMiBBelow } from '../cpu.ts';
import { openCryptoStore, type CryptoStoreWorld } from '../crypto-store-world.ts';
import { type Case } from '../measure.ts';

const MIB = 1024 * 1024;
const PIECE = Buffer.alloc(64 * 1024, 1);
const STREAM_MIB = 256;
const BOUND_MIB = 32;
const LOOK_MS = 20;

/** Seals so many MiB over HTTP, reading the answer while it sends. @returns the bytes of the answer */
async function encryptStream({ target }: CryptoStoreWorld, mib: number): Promise<number> {
  const { url, tls, call } = target(() => ({ method: 'POST', path: '/v1/encrypt/stream' }));
  const { path, headers } = call(0);
  const sent = request(new URL(path, url), {
    method: 'POST',
    ...tls,
    headers: { ...headers, 'content-type': 'application/octet-stream' },
  });
  const answered = once(sent, 'response');
  const send = async () => {
    for (let left = mib * MIB; left > 0; left -= PIECE.length) if (!sent.write(PIECE)) await once(sent, 'drain');
    sent.end();
  };
  const read = async () => {
    const [answer] = (await answered) as [AsyncIterable<Buffer> & { statusCode: number }];
    if (answer.statusCode !== 200) throw new Error(`the stream was answered ${answer.statusCode}`);
    let bytes = 0;
    for await (const piece of answer) bytes += piece.length;
    return bytes;
  };
  const [, bytes] = await Promise.all([send(), read()]);
  return bytes;
}

/** By how many MiB the service's memory grew at its highest while a stream went through. */
async function growth(world: CryptoStoreWorld): Promise<number> {
  const [service = 0] = world.pids;
  const idle = residentMiBBelow(service);
  let highest = idle;
  let done = false;
  const looking = (async () => {
    for (; !done; await delay(LOOK_MS)) highest = Math.max(highest, residentMiBBelow(service));
  })();
  try {
    const bytes = await encryptStream(world, STREAM_MIB);
    if (bytes < STREAM_MIB * MIB) throw new Error('the answer is shorter than what was sent');
    return highest - idle;
  } finally {
    done = true;
    await looking;
  }
}

/** A stream that is longer than the service may hold, over mutual TLS, with its intent and its outcome recorded. */
export const streamMemory: Case = {
  name: 'crypto-store/stream-memory',
  unit: `MiB above idle while ${STREAM_MIB} MiB are sealed as a stream over HTTP`,
  against: `the bound of ${BOUND_MIB} MiB`,
  goal: { atMost: 1 },
  async prepare() {
    const world = await openCryptoStore();
    return { ours: () => growth(world), peer: async () => BOUND_MIB, close: world.close };
  },
};
