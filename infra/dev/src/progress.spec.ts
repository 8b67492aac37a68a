import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';

import { quietly, step, StepFailed, table } from './progress.ts';

let out = '';
beforeEach(() => {
  out = '';
  jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += String(text);
    return true;
  });
});
afterEach(() => {
  jest.restoreAllMocks();
});

test('a table is as wide as its longest cells, and no line ends in blanks', () => {
  table(
    ['step', 'ms'],
    [
      ['a long one', '5'],
      ['b', '1234'],
    ],
  );
  expect(out.split('\n')).toEqual([
    '  step        ms',
    '  ──────────  ────',
    '  a long one  5',
    '  b           1234',
    '',
  ]);
});

test('a row may lack cells', () => {
  table(['a', 'b'], [['x']]);
  expect(out).toContain('\n  x\n');
});

test('a step that is done is a line with its time, and answers what its work answered', async () => {
  expect(await step('certificates', async () => 7)).toBe(7);
  expect(out).toMatch(/^ {2}✓ certificates +\d+\.\d s\n$/);
});

test('a step that fails carries its name, its log and the way out', async () => {
  const failing = () => Promise.reject(new Error('no key'));
  const failed = await step('crypto-store', failing, { log: 'a.log', remedy: 'start again' }).catch((error) => error);
  expect(failed).toBeInstanceOf(StepFailed);
  expect(failed).toMatchObject({ step: 'crypto-store', message: 'no key', log: 'a.log', remedy: 'start again' });
  expect(out).toBe('  ✗ crypto-store\n');
});

test('of steps within steps the innermost names the failure', async () => {
  const inner = () => step('inner', () => Promise.reject(new Error('x')));
  await expect(step('outer', inner)).rejects.toMatchObject({ step: 'inner' });
});

test('a quiet step prints nothing and fails in the same way', async () => {
  expect(await quietly('bus', async () => 1)).toBe(1);
  await expect(quietly('bus', () => Promise.reject(new Error('x')))).rejects.toMatchObject({ step: 'bus' });
  expect(out).toBe('');
});
