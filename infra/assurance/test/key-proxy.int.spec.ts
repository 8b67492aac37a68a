import { expect, test } from '@jest/globals';

import { addresses } from '../src/key-proxy/addresses.ts';
import { secretLeakage } from '../src/key-proxy/leakage.ts';
import { expectToHold } from './expect-to-hold.ts';

const PROCESSES_START_MS = 600_000;

test(
  'R35: no address that a tenant gives leads to this machine or its network',
  async () => expect((await expectToHold(addresses)).row.tried).toBeGreaterThan(100),
  PROCESSES_START_MS,
);
test(
  'no value, password, credential or token leaks, through any route, in success or error',
  async () => void (await expectToHold(secretLeakage)),
  PROCESSES_START_MS,
);
