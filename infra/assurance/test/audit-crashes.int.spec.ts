import { randomInt } from 'node:crypto';

import { expect, test } from '@jest/globals';

import { assess } from '../src/assess.ts';
import { auditCrashes } from '../src/audit/audit-crashes.ts';

const SERVERS_AND_SEVEN_FAULTS_MS = 300_000;

test(
  'an acknowledged event is in the published log once and in its order, whatever of it crashes (R21, R22, R23)',
  async () => {
    const said: string[] = [];
    const seed = randomInt(1, 2 ** 32);
    const row = await assess(auditCrashes, { scale: 'small', seed, say: (line) => said.push(line) });
    expect({ row, said }).toMatchObject({ row: { case: 'audit/crashes', failed: 0, lost: 0, seed, holds: true } });
    expect(row.tried).toBeGreaterThanOrEqual(2_000);
  },
  SERVERS_AND_SEVEN_FAULTS_MS,
);
