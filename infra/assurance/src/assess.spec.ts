import { expect, test } from '@jest/globals';

import { assess, type Findings } from './assess.ts';

const findings = (over: Partial<Findings>): Findings => ({ tried: 3, failed: [], lost: [], ...over });

async function rowOf(run: () => Promise<Findings>) {
  const said: string[] = [];
  const row = await assess(
    { name: 'part/case', guarantee: '', run },
    { scale: 'small', seed: 5, say: (l) => said.push(l) },
  );
  return { row, said };
}

test('a case holds when something was tried and nothing failed or was lost', async () => {
  const { row, said } = await rowOf(async () => findings({}));
  expect(row).toEqual({ case: 'part/case', tried: 3, failed: 0, lost: 0, seed: 5, holds: true });
  expect(said).toEqual([]);
});

test.each([
  ['failed', findings({ failed: ['one'] })],
  ['lost', findings({ lost: ['one'] })],
  ['nothing tried', findings({ tried: 0 })],
])('a case does not hold: %s; its seed is said', async (_, found) => {
  const { row, said } = await rowOf(async () => found);
  expect(row.holds).toBe(false);
  expect(said.at(-1)).toBe('run it again with --seed 5');
});

test('a case that throws does not hold, and says why', async () => {
  const { row, said } = await rowOf(() => Promise.reject(new Error('no stack')));
  expect(row).toMatchObject({ failed: 1, holds: false });
  expect(said[0]).toContain('no stack');
});
