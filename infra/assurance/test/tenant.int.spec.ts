import { test } from '@jest/globals';

import { tenantDestruction } from '../src/tenant/destruction.ts';
import { expectToHold } from './expect-to-hold.ts';

const STACK_AND_END_MS = 480_000;

test(
  'R33: a tenant that was destroyed is gone from all five services',
  async () => void (await expectToHold(tenantDestruction)),
  STACK_AND_END_MS,
);
