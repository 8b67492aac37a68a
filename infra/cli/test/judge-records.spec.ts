import { expect, test } from '@jest/globals';
import { judgeRecords, type RecordEvent, type StoredVersion } from '../src/log/judge-records.ts';

const written = (id: string, version: number, ciphertextHash?: string): RecordEvent => ({
  action: 'record.written',
  outcome: 'success',
  resource: { id, version },
  details: ciphertextHash === undefined ? {} : { ciphertextHash },
});
const of = (action: string, id: string, details: RecordEvent['details']): RecordEvent => ({
  action,
  outcome: 'success',
  resource: { id },
  details,
});
const stands = (id: string, version: number, hash: string | null, newest = true): StoredVersion => ({
  id,
  version,
  newest,
  ciphertext_hash: hash,
});
const rewrapped: RecordEvent = {
  action: 'record.rewrapped',
  outcome: 'success',
  resource: { id: 'r', version: 1 },
  details: { part: 'version', ciphertextHash: 'b' },
};

test('a record may have been written 200,000 times', () => {
  const events = Array.from({ length: 200_000 }, (_, at) => written('r', at + 1, 'a'));
  expect(judgeRecords([stands('r', 200_000, 'a')], events, true)).toMatchObject({ records: 1, writes: 200_000 });
});

test.each<[string, StoredVersion[], RecordEvent[]]>([
  ['written', [stands('r', 1, 'a')], [written('r', 1, 'a')]],
  ['written twice over, the repetition without a hash', [stands('r', 1, 'a')], [written('r', 1, 'a'), written('r', 1)]],
  ['rewrapped', [stands('r', 1, 'b')], [written('r', 1, 'a'), rewrapped]],
  ['pruned but for the newest', [stands('r', 2, 'b')], [written('r', 1, 'a'), written('r', 2, 'b')]],
  ['deleted, and kept', [stands('r', 1, 'a')], [written('r', 1, 'a'), of('record.deleted', 'r', { versions: ['1'] })]],
  ['expired', [stands('r', 1, null)], [written('r', 1, 'a'), of('record.destroyed', 'r', { versions: ['1'] })]],
  ['destroyed whole', [], [written('r', 1, 'a'), of('record.destroyed', 'r', { versions: ['1'], whole: true })]],
])('R34: a record that was %s stands as the log says', (_what, stored, events) => {
  expect(judgeRecords(stored, events, true).unjudged).toBe(0);
});

test.each<[string, StoredVersion[], RecordEvent[]]>([
  ['record_differs r version 1', [stands('r', 1, 'x')], [written('r', 1, 'a')]],
  ['record_differs r version 1', [stands('r', 1, 'a')], [written('r', 1, 'a'), rewrapped]],
  ['record_unknown_to_log s version 1', [stands('s', 1, 'a')], [written('r', 1, 'a')]],
  ['record_rolled_back r from version 2', [stands('r', 1, 'a')], [written('r', 1, 'a'), written('r', 2, 'b')]],
  ['record_rolled_back r from version 1', [], [written('r', 1, 'a')]],
  // Neither a deletion nor the end of one version lets the newest go.
  [
    'record_rolled_back r from version 2',
    [stands('r', 1, null)],
    [written('r', 1, 'a'), written('r', 2, 'b'), of('record.destroyed', 'r', { versions: ['1'] })],
  ],
  [
    'record_put_back r version 1',
    [stands('r', 1, 'a')],
    [written('r', 1, 'a'), of('record.destroyed', 'r', { versions: ['1'] })],
  ],
])('R34: %s is named', (said, stored, events) => {
  expect(() => judgeRecords(stored, events, true)).toThrow(said);
});

test('R28, R34: a write that the log has erased is counted, not accused; one that it still shows is held to it', () => {
  const stored = [stands('r', 1, 'a'), stands('s', 1, 'b')];
  expect(judgeRecords(stored, [written('s', 1, 'b')], false)).toEqual({ records: 2, writes: 1, unjudged: 1 });
  expect(() => judgeRecords(stored, [written('s', 1, 'x')], false)).toThrow('record_differs s version 1');
});
