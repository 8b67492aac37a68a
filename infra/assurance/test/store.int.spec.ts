import { randomInt } from 'node:crypto';

import { expect, test } from '@jest/globals';

import { assess, type Case } from '../src/assess.ts';
import { leakage } from '../src/store/leakage.ts';
import { lyingCache } from '../src/store/lying-cache.ts';
import { stolenDumps } from '../src/store/stolen-dumps.ts';

const PROCESSES_START_MS = 120_000;

async function expectToHold(each: Case): Promise<void> {
  const said: string[] = [];
  const seed = randomInt(1, 2 ** 32);
  const row = await assess(each, { scale: 'small', seed, say: (line) => said.push(line) });
  expect({ row, said }).toMatchObject({ row: { failed: 0, lost: 0, holds: true } });
}

test(
  'R32: no read is stale and none fails, whatever the cache does',
  () => expectToHold(lyingCache),
  PROCESSES_START_MS,
);
test('a stolen dump shows nothing of a record', () => expectToHold(stolenDumps), PROCESSES_START_MS);
test('no canary leaks, through any route, in success or error', () => expectToHold(leakage), PROCESSES_START_MS);
