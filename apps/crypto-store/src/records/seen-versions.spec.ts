import { expect, test } from '@jest/globals';
import { createSeenVersions } from './seen-versions.ts';

const id = '0198c0de-0000-4000-8000-0123456789ab';

test('R34: a version below one that was seen before the look is an alarm; one that a writer overtook meanwhile is not', () => {
  const alarms: unknown[] = [];
  const seen = createSeenVersions((fallen) => alarms.push(fallen));
  seen.note('a', { id, version: 5 });
  seen.before('a')({ id, version: 5 });
  const look = seen.before('a');
  seen.note('a', { id, version: 6 });
  look({ id, version: 5 });
  expect(alarms).toEqual([]);
  seen.before('a')({ id, version: 4 });
  expect(alarms).toEqual([{ id, version: 4, seen: 6 }]);
  // However often it is read after.
  seen.before('a')({ id, version: 4 });
  expect(alarms).toHaveLength(1);
  // What was written meanwhile stays the mark.
  seen.note('a', { id, version: 6 });
  const fallen = seen.before('a');
  seen.note('a', { id, version: 7 });
  fallen({ id, version: 3 });
  seen.before('a')({ id, version: 6 });
  expect(alarms.slice(1)).toEqual([
    { id, version: 3, seen: 6 },
    { id, version: 6, seen: 7 },
  ]);
});

test('a record that was destroyed and made anew begins again without an alarm', () => {
  const alarms: unknown[] = [];
  const seen = createSeenVersions((fallen) => alarms.push(fallen));
  seen.note('a', { id, version: 5 });
  seen.before('a')(null);
  seen.before('a')({ id: 'another', version: 1 });
  seen.before('b')({ id, version: 1 });
  expect(alarms).toEqual([]);
});
