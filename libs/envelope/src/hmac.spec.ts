import { createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { oneShotHmac } from './hmac.ts';
import { deriveMessageKey } from './message-key.ts';

test.each(['sha256', 'sha512'] as const)(
  '%s: for keys and inputs of any length it is the HMAC of node:crypto',
  (algorithm) => {
    const hmac = oneShotHmac(algorithm);
    const block = algorithm === 'sha256' ? 64 : 128;
    for (let length = 0; length <= block; length += 1) {
      const key = randomBytes(length);
      const input = randomBytes(length % 65);
      hmac.setKey(key);
      expect(hmac.code(input).equals(createHmac(algorithm, key).update(input).digest())).toBe(true);
      expect(hmac.code(key.subarray(0, 9)).equals(createHmac(algorithm, key).update(key.subarray(0, 9)).digest())).toBe(
        true,
      );
    }
    expect(() => hmac.setKey(Buffer.alloc(block + 1))).toThrow(RangeError);
    expect(() => hmac.code(Buffer.alloc(65))).toThrow(RangeError);
  },
);

test('the message key and the commitment are the HKDF of node:crypto', () => {
  const [dataKey, messageId] = [randomBytes(32), randomBytes(32)];
  const { key, commitment } = deriveMessageKey(dataKey, messageId);
  const derived = (info: string) =>
    Buffer.from(hkdfSync('sha512', dataKey, messageId, Buffer.from(info, 'latin1'), 32));
  expect(key.export().equals(derived('\x04\x78DERIVEKEY'))).toBe(true);
  expect(commitment.equals(derived('COMMITKEY'))).toBe(true);
});
