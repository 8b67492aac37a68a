import { randomInt } from 'node:crypto';

import { expect } from '@jest/globals';

import { assess, type Case, type Row } from '../src/assess.ts';

/** Runs a case small, with a seed of its own. A case that does not hold shows all that it said, with the seed in it. */
export async function expectToHold(each: Case): Promise<{ row: Row; said: string[] }> {
  const said: string[] = [];
  const seed = randomInt(1, 2 ** 32);
  const row = await assess(each, { scale: 'small', seed, say: (line) => said.push(line) });
  expect(row.holds ? [] : said).toEqual([]);
  expect(row).toMatchObject({ case: each.name, failed: 0, lost: 0, seed, holds: true });
  return { row, said };
}
