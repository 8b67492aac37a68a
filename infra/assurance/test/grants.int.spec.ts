import { expect, test } from '@jest/globals';
import { parallelUses } from '../src/grants/parallel-uses.ts';
import { refreshCrashes } from '../src/grants/refresh-crashes.ts';

test.each([parallelUses, refreshCrashes])(
  '$name: $guarantee',
  async (one) => {
    const said: string[] = [];
    const findings = await one.run({ scale: 'small', seed: 7, say: (line) => said.push(line) });
    expect({ ...findings, said }).toMatchObject({ failed: [], lost: [] });
    expect(findings.tried).toBeGreaterThan(0);
  },
  300_000,
);
