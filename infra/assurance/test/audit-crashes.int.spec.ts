import { expect, test } from '@jest/globals';

import { auditCrashes } from '../src/audit/audit-crashes.ts';
import { expectToHold } from './expect-to-hold.ts';

const SERVERS_AND_SEVEN_FAULTS_MS = 600_000;

test(
  'an acknowledged event is in the published log once and in its order, whatever of it crashes (R21, R22, R23)',
  async () => {
    const { row } = await expectToHold(auditCrashes);
    expect(row.tried).toBeGreaterThanOrEqual(2_000);
  },
  SERVERS_AND_SEVEN_FAULTS_MS,
);
