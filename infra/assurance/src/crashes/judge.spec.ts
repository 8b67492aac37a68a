import { expect, test } from '@jest/globals';

import { misrecorded, missingFrom } from './judge.ts';
import { operations } from './operations.ts';

const store = operations.find(({ action }) => action === 'record.written');
const acknowledged = new Map(store ? [['r-1', store]] : []);
const written = (eventId: string) => ({ eventId, action: 'record.written' });

test('an acknowledged request that stands in the log once is in order', () => {
  const recorded = new Map([['r-1', [written('e-1')]]]);
  expect(missingFrom(recorded, { acknowledged })).toEqual([]);
  expect(misrecorded(recorded, { acknowledged })).toEqual([]);
});

test('an acknowledged request that is not in the log is lost, also where another action is', () => {
  expect(missingFrom(new Map(), { acknowledged })).toHaveLength(1);
  const other = new Map([['r-1', [{ eventId: 'e-1', action: 'record.read' }]]]);
  expect(missingFrom(other, { acknowledged })).toHaveLength(1);
  expect(misrecorded(other, { acknowledged })).toHaveLength(1);
});

test('a request is in the log at most once, acknowledged or not', () => {
  const twice = [written('e-1'), written('e-2')];
  expect(misrecorded(new Map([['r-1', twice]]), { acknowledged })).toHaveLength(1);
  expect(misrecorded(new Map([['r-2', twice]]), { acknowledged })).toHaveLength(1);
  expect(misrecorded(new Map([['r-2', [written('e-1')]]]), { acknowledged })).toEqual([]);
});
