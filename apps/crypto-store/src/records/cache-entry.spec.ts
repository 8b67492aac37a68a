import { expect, test } from '@jest/globals';
import { decodeEntry, encodeEntry } from './cache-entry.ts';

const record = { id: '0198c0de-0000-4000-8000-0123456789ab', version: 7, sealed: Buffer.from('sealed') };

test('an entry comes out as it went in', () => {
  expect(decodeEntry(encodeEntry(record))).toEqual(record);
});

test('whatever else stands in the cache is a miss, not an error', () => {
  const entry = encodeEntry(record);
  const overflowing = Buffer.from(entry);
  overflowing.fill(0xff, 17, 25);
  for (const bytes of [null, 'text', Buffer.alloc(0), entry.subarray(0, 25), Buffer.alloc(99, 2), overflowing]) {
    expect(decodeEntry(bytes)).toBeNull();
  }
});
