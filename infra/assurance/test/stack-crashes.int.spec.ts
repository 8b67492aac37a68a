import { test } from '@jest/globals';

import { stackCrashes } from '../src/crashes/stack-crashes.ts';
import { expectToHold } from './expect-to-hold.ts';

const TWO_STARTS_AND_SEVEN_FAULTS_MS = 900_000;

test(
  'what was acknowledged is in the log once, and proven, whatever crashes (R21, R22, R27)',
  async () => void (await expectToHold(stackCrashes)),
  TWO_STARTS_AND_SEVEN_FAULTS_MS,
);
