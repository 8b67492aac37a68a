import { createHmac, createSecretKey, randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { keptMac } from './kept-macs.ts';

const key = () => createSecretKey(randomBytes(32));

test('a kept code is the HMAC-SHA-256 of the text under that very key, asked for once or often', () => {
  const keys = [key(), key()];
  for (const text of ['', 'a place', '🗝 Jürgen', 'x'.repeat(5_000)]) {
    for (const one of keys) {
      const right = createHmac('sha256', one).update(text).digest();
      expect([keptMac(one, text), keptMac(one, text)]).toEqual([right, right]);
    }
  }
});

test('what is kept hangs on the key object: the same bytes in another one find nothing of it', () => {
  const bytes = randomBytes(32);
  const [one, other] = [createSecretKey(bytes), createSecretKey(bytes)];
  const code = keptMac(one, 'a place');
  expect(keptMac(one, 'a place')).toBe(code);
  expect(keptMac(other, 'a place')).not.toBe(code);
});

test('long texts are not kept, and many short ones do not fill the memory', () => {
  const one = key();
  const long = 'x'.repeat(2_000);
  expect(keptMac(one, long)).not.toBe(keptMac(one, long));
  const first = keptMac(one, 'first');
  for (let n = 0; n < 5_000; n += 1) keptMac(one, `${n}`);
  expect(keptMac(one, 'first')).not.toBe(first);
  expect(keptMac(one, 'first')).toEqual(first);
});
