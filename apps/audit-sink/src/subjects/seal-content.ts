import { createCipheriv, createDecipheriv, randomFillSync, type KeyObject } from 'node:crypto';
import { SALT_BYTES } from '@postern/audit';

const IV_BYTES = 12;
const TAG_BYTES = 16;
const ALGORITHM = 'aes-256-gcm';

/** What was sealed is not what is here: altered, of another event, or under another key. */
export class ContentRefused extends Error {
  override readonly name = 'ContentRefused';
}

// Random bytes are drawn for many events at once: a draw costs as much as the cipher.
const pool = Buffer.alloc(IV_BYTES * 512);
let drawn = pool.length;

function nextIv(): Buffer {
  if (drawn === pool.length) {
    randomFillSync(pool);
    drawn = 0;
  }
  drawn += IV_BYTES;
  // A view: it is copied into what is sealed before the next one is drawn.
  return pool.subarray(drawn - IV_BYTES, drawn);
}

/**
 * Salt and canonical bytes of an event under its subject's key (R28): iv (12 bytes) || AES-256-GCM || tag (16 bytes), bound to
 * the event's id. A random iv bears 2^32 events of one subject (NIST SP 800-38D section 8.3).
 */
export function sealContent(key: KeyObject, eventId: string, salt: Uint8Array, canonical: Uint8Array): Buffer {
  const iv = nextIv();
  const cipher = createCipheriv(ALGORITHM, key, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(eventId, 'latin1'));
  const content = cipher.update(Buffer.concat([salt, canonical]));
  cipher.final();
  return Buffer.concat([iv, content, cipher.getAuthTag()]);
}

/** @throws ContentRefused */
export function openContent(key: KeyObject, eventId: string, sealed: Buffer): { salt: Buffer; canonical: Buffer } {
  if (sealed.length < IV_BYTES + SALT_BYTES + TAG_BYTES) throw new ContentRefused('too short');
  const decipher = createDecipheriv(ALGORITHM, key, sealed.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(eventId, 'latin1'));
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  try {
    const content = Buffer.concat([decipher.update(sealed.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()]);
    return { salt: content.subarray(0, SALT_BYTES), canonical: content.subarray(SALT_BYTES) };
  } catch (cause) {
    throw new ContentRefused('not what was sealed', { cause });
  }
}
