import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** 256 random bits, base64url: too many to guess, so a plain SHA-256 of it gives nothing away. */
export const newValue = (): string => randomBytes(32).toString('base64url');

/** SHA-256 of a value as it came; what is stored in its place. */
export const hashOf = (value: string): Uint8Array => new Uint8Array(createHash('sha256').update(value).digest());

/** Compares in constant time; false for an absent hash. */
export function isHashOf(hash: Uint8Array | null, value: string): boolean {
  return hash !== null && timingSafeEqual(hash, hashOf(value));
}
