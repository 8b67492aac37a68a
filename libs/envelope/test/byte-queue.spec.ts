import { randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { byteQueue } from '../src/byte-queue.ts';
import { inPieces } from './pieces.ts';

const FRAME = 65_536;

test('bytes come out in order, however they came and however they are asked for', async () => {
  const bytes = randomBytes(1_000);
  for (const pieceBytes of [1, 7, 64, 1_000]) {
    const queue = byteQueue(inPieces(bytes, pieceBytes));
    const taken: Buffer[] = [];
    for (const want of [0, 1, 63, 64, 65, 300, 507]) {
      expect(await queue.gather(want)).toBeGreaterThanOrEqual(want);
      expect(queue.peek(want).length).toBe(want);
      taken.push(Buffer.from(queue.take(want)));
    }
    expect(Buffer.concat(taken).equals(bytes)).toBe(true);
    expect(await queue.gather(1)).toBe(0);
  }
});

test('a frame that comes byte by byte does not hold up everybody else in the process', async () => {
  const queue = byteQueue(inPieces(randomBytes(2 * FRAME + 1), 1));
  let cpuMs = 0;
  for (let frames = 0; frames < 2; frames += 1) {
    await queue.gather(FRAME + 1);
    const began = process.cpuUsage();
    queue.take(FRAME);
    cpuMs += process.cpuUsage(began).user / 1_000;
  }
  // Of this process alone, whatever else the machine does. Where each byte moved all the others it was seconds.
  expect(cpuMs).toBeLessThan(500);
});
