import { randomFillSync } from 'node:crypto';

const POOL = new Uint8Array(16 * 256);
let used = POOL.length;
let lastMs = 0;
let counter = 0;

/**
 * A UUID version 7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, a 12-bit counter that is seeded at random each
 * millisecond (method 1 of section 6.2) and 62 random bits. Ids made by one process sort in the order they were made.
 */
export function uuidv7(ms: number = Date.now()): string {
  if (used === POOL.length) {
    randomFillSync(POOL);
    used = 0;
  }
  const bytes = POOL.subarray(used, used + 16);
  used += 16;
  if (ms > lastMs) {
    lastMs = ms;
    // 11 random bits leave at least 2,048 increments before the counter overflows into the next millisecond.
    counter = ((bytes[6]! << 8) | bytes[7]!) & 0x7ff;
  } else if (++counter > 0xfff) {
    lastMs += 1;
    counter = 0;
  }
  const high = Math.floor(lastMs / 0x10000);
  const low = lastMs % 0x10000;
  const random = Buffer.from(bytes.buffer, bytes.byteOffset + 8, 8);
  random[0] = (random[0]! & 0x3f) | 0x80;
  const hex = random.toString('hex');
  return `${pad(high, 8)}-${pad(low, 4)}-${pad(0x7000 | counter, 4)}-${hex.slice(0, 4)}-${hex.slice(4)}`;
}

const pad = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');
