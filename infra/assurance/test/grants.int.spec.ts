import { test } from '@jest/globals';

import { parallelUses } from '../src/grants/parallel-uses.ts';
import { providerFaults } from '../src/grants/provider-faults.ts';
import { refreshCrashes } from '../src/grants/refresh-crashes.ts';
import { expectToHold } from './expect-to-hold.ts';

test.each([parallelUses, refreshCrashes, providerFaults])(
  '$name: $guarantee',
  async (each) => void (await expectToHold(each)),
  600_000,
);
