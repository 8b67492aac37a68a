import { expect, test } from '@jest/globals';
import { assertDurable } from './durability.ts';

const alone = { fsync: 'on', commits: 'on', names: '', standbys: 0 };

test.each([
  ['one server', alone, 'quorum'],
  ['a quorum of standbys', { ...alone, names: 'ANY 1 (a, b)', standbys: 2 }, 'quorum'],
  ['standbys that apply', { ...alone, commits: 'remote_apply', names: 'ANY 2 (a, b, c)', standbys: 3 }, 'quorum'],
  ['standbys without a quorum, in low', { ...alone, standbys: 1 }, 'any'],
] as const)('%s is durable (R22)', (_what, state, replication) => {
  expect(() => assertDurable(state, replication)).not.toThrow();
});

test.each([
  ['fsync off', { ...alone, fsync: 'off' }, 'any'],
  ['commits that do not wait', { ...alone, commits: 'off' }, 'any'],
  ['commits that wait for memory only', { ...alone, commits: 'remote_write' }, 'any'],
  ['standbys that confirm nothing', { ...alone, standbys: 1 }, 'quorum'],
  ['one named standby in place of a quorum', { ...alone, names: 'FIRST 1 (a)', standbys: 1 }, 'quorum'],
  ['a quorum of none', { ...alone, names: 'ANY 0 (a)', standbys: 1 }, 'quorum'],
] as const)('%s is not (R22)', (_what, state, replication) => {
  expect(() => assertDurable(state, replication)).toThrow('R22');
});
