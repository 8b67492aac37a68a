import { expect, test } from '@jest/globals';
import { describeWith, realPart } from '@postern/testing';
import { debianProgram } from '@postern/testing/debian';

import { telemetry } from '../src/telemetry/telemetry.ts';
import { expectToHold } from './expect-to-hold.ts';

const prometheus = await realPart('Prometheus', () => debianProgram('prometheus', { of: 'prometheus' }));
const A_STACK_AND_TWO_TOURS_MS = 480_000;

describeWith(prometheus, 'the tour under tracing', () => {
  test(
    telemetry.guarantee,
    async () => {
      const { row } = await expectToHold(telemetry);
      expect(row.tried).toBeGreaterThan(100);
    },
    A_STACK_AND_TWO_TOURS_MS,
  );
});
