import { test } from '@jest/globals';

import { leakage } from '../src/store/leakage.ts';
import { lyingCache } from '../src/store/lying-cache.ts';
import { stolenDumps } from '../src/store/stolen-dumps.ts';
import { expectToHold } from './expect-to-hold.ts';

const PROCESSES_START_MS = 300_000;

test(
  'R32: no read is stale and none fails, whatever the cache does',
  async () => void (await expectToHold(lyingCache)),
  PROCESSES_START_MS,
);
test('a stolen dump shows nothing of a record', async () => void (await expectToHold(stolenDumps)), PROCESSES_START_MS);
test(
  'no canary leaks, through any route, in success or error',
  async () => void (await expectToHold(leakage)),
  PROCESSES_START_MS,
);
