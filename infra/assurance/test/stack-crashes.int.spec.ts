import { randomInt } from 'node:crypto';

import { expect, test } from '@jest/globals';

import { assess } from '../src/assess.ts';
import { stackCrashes } from '../src/crashes/stack-crashes.ts';

const TWO_STARTS_AND_SEVEN_FAULTS_MS = 420_000;

test(
  'what was acknowledged is in the log once, and proven, whatever crashes (R21, R22, R27)',
  async () => {
    const said: string[] = [];
    const seed = randomInt(1, 2 ** 32);
    const row = await assess(stackCrashes, { scale: 'small', seed, say: (line) => said.push(line) });
    expect({ row, said }).toMatchObject({ row: { case: 'stack/crashes', failed: 0, lost: 0, seed, holds: true } });
    expect(row.tried).toBeGreaterThan(0);
  },
  TWO_STARTS_AND_SEVEN_FAULTS_MS,
);
