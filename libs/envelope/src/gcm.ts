import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto';
import { freeMemory } from './free-memory.ts';
import { TAG_BYTES } from './suite.ts';

// Keys come as KeyObjects: handing node:crypto raw bytes costs ten times as much as the cipher object itself.
const options = { authTagLength: TAG_BYTES };
const NOTHING = Buffer.alloc(0);

/** AES-256-GCM (NIST SP 800-38D): writes ciphertext then tag into `out` at `at`; returns the offset after the tag. */
export function encryptInto(
  out: Buffer,
  at: number,
  { key, iv, aad, plaintext }: { key: KeyObject; iv: Uint8Array; aad: Uint8Array; plaintext?: Uint8Array },
): number {
  const cipher = createCipheriv('aes-256-gcm', key, iv, options);
  cipher.setAAD(aad);
  let end = at;
  if (plaintext !== undefined && plaintext.length > 0) {
    const ciphertext = cipher.update(plaintext);
    end += ciphertext.copy(out, at);
    freeMemory(ciphertext);
  }
  cipher.final();
  return end + cipher.getAuthTag().copy(out, end);
}

/** The plaintext, or null when the 16-byte tag does not verify (also when it is not 16 bytes long). */
export function decrypt({
  key,
  iv,
  aad,
  ciphertext,
  tag,
}: {
  key: KeyObject;
  iv: Uint8Array;
  aad: Uint8Array;
  ciphertext?: Uint8Array;
  tag: Uint8Array;
}): Buffer | null {
  if (tag.length !== TAG_BYTES) return null;
  const decipher = createDecipheriv('aes-256-gcm', key, iv, options);
  decipher.setAAD(aad);
  decipher.setAuthTag(tag);
  const plaintext = ciphertext === undefined || ciphertext.length === 0 ? NOTHING : decipher.update(ciphertext);
  try {
    decipher.final();
  } catch {
    plaintext.fill(0);
    return null;
  }
  return plaintext;
}
