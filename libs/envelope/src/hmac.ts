import { hash } from 'node:crypto';

/** HMAC (RFC 2104) under one key after the other; all within one turn, for there is one place for the key. */
export type Hmac = {
  /** Sets the key, of at most one block, for what follows; `forgetKey` ends it. */
  setKey(key: Uint8Array): void;
  /** The code of a short input; the caller overwrites it where it is secret. */
  code(input: Uint8Array): Buffer;
  forgetKey(): void;
};

const MAX_INPUT_BYTES = 64;

/**
 * By the one-shot hash: an HMAC object of node:crypto costs three times as much as the hashing of these few bytes, and
 * leaves work for the collector; every message needs four.
 */
export function oneShotHmac(algorithm: 'sha256' | 'sha512'): Hmac {
  const [blockBytes, hashBytes] = algorithm === 'sha256' ? [64, 32] : [128, 64];
  const inner = Buffer.allocUnsafeSlow(blockBytes + MAX_INPUT_BYTES);
  const outer = Buffer.allocUnsafeSlow(blockBytes + hashBytes);
  return {
    setKey(key) {
      if (key.length > blockBytes) throw new RangeError('the key is longer than a block');
      for (let at = 0; at < key.length; at += 1) {
        const byte = key[at] ?? 0;
        inner[at] = byte ^ 0x36;
        outer[at] = byte ^ 0x5c;
      }
      inner.fill(0x36, key.length, blockBytes);
      outer.fill(0x5c, key.length, blockBytes);
    },
    code(input) {
      if (input.length > MAX_INPUT_BYTES) throw new RangeError('the input is too long');
      inner.set(input, blockBytes);
      // As a string it is half the price; without the outer key the inner hash says nothing.
      const inside = hash(algorithm, inner.subarray(0, blockBytes + input.length), 'binary');
      outer.write(inside, blockBytes, 'binary');
      return hash(algorithm, outer, 'buffer');
    },
    forgetKey() {
      inner.fill(0);
      outer.fill(0);
    },
  };
}
