import { expect, test } from '@jest/globals';
import { isForeground } from './terminal-keys.ts';

test('a process has the keys where its group is in the foreground, whatever its name looks like', () => {
  expect(isForeground('12 (node) S 1 40 40 34816 40 4194304 0')).toBe(true);
  expect(isForeground('12 (a) S 1 (b) S 1 41 40 34816 40 4194304 0')).toBe(false);
  expect(isForeground('12 (node) S 1 40 40 0 -1 4194304 0')).toBe(false);
});
