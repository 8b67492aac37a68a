import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { createGroup } from './group.ts';

const limits = { perFlush: 512, bytesPerFlush: 1_000_000, waiting: 10_000, waitingBytes: 1_000_000 };
const full = () => new Error('full');

/** A group whose flushes take some turns, and how many items each had. */
function counted() {
  const sizes: number[] = [];
  const flush = async (items: number[]) => {
    sizes.push(items.length);
    await turn();
    return items.map((value) => ({ value }));
  };
  return { sizes, group: createGroup(flush, limits, full) };
}

test('a crowd that asks again over some turns of the event loop shares one flush, rather than splitting into several', async () => {
  const { sizes, group } = counted();
  const rounds = 50;
  const caller = async (at: number) => {
    for (let round = 0; round < rounds; round += 1) {
      await group.add(at, 1);
      for (let turns = 0; turns < at % 8; turns += 1) await turn();
    }
  };
  await Promise.all(Array.from({ length: 32 }, (_, at) => caller(at)));
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(32 * rounds);
  // Nearer to one a round than to the several that turns would make; a machine that stands still splits some.
  expect(sizes.length).toBeLessThan(2 * rounds);
});

test('who asks alone waits for nobody: each is flushed by itself, and is answered', async () => {
  const { sizes, group } = counted();
  for (let at = 0; at < 20; at += 1) expect(await group.add(at, 1)).toBe(at);
  expect(sizes).toEqual(Array.from({ length: 20 }, () => 1));
});

test('what was taken before the end is flushed, and nothing after it', async () => {
  const { group } = counted();
  const taken = Promise.all(Array.from({ length: 30 }, (_, at) => group.add(at, 1)));
  await group.close();
  expect(await taken).toHaveLength(30);
  await expect(group.add(1, 1)).rejects.toThrow('full');
});
