import { CONTENT_TYPES } from '@postern/http';
import { expect, test } from '@jest/globals';
import { decodeContent, encodeContent } from './record-content.ts';

const writtenAt = new Date('2026-03-01T10:00:00.123Z');

test('content comes out as it went in: each type, any bytes, metadata in any script', () => {
  for (const type of CONTENT_TYPES) {
    for (const bytes of [Buffer.alloc(0), Buffer.from([0, 255, 1])]) {
      const plain = { type, bytes, metadata: {}, writtenAt, expiresAt: null };
      expect(decodeContent(encodeContent(plain))).toEqual(plain);
      const full = { ...plain, metadata: { owner: 'Jürgen 🗝' }, expiresAt: new Date('2027-01-01T00:00:00Z') };
      expect(decodeContent(encodeContent(full))).toEqual(full);
    }
  }
});

test('another format is refused', () => {
  expect(() => decodeContent(Buffer.from([2, 0, 0]))).toThrow('unknown format');
});
