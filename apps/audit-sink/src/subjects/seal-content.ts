import { createCipheriv, createDecipheriv, randomFillSync, type KeyObject } from 'node:crypto';
import { packContent, SALT_BYTES, unpackContent, type PackedEntry } from '@postern/audit';

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

/** An event without which its leaf says nothing: its salt and its canonical bytes. */
export type Content = { salt: Buffer; canonical: Buffer };

/**
 * Salt and canonical bytes of an event under its subject's key (R28): iv (12 bytes) || AES-256-GCM || tag (16 bytes), bound to
 * the event's id. A random iv bears 2^32 events of one subject (NIST SP 800-38D section 8.3).
 */
export const sealContent = (key: KeyObject, eventId: string, salt: Uint8Array, canonical: Uint8Array): Buffer =>
  seal(key, eventId, Buffer.concat([salt, canonical]));

/** @throws ContentRefused */
export function openContent(key: KeyObject, eventId: string, sealed: Buffer): Content {
  const content = open(key, eventId, sealed);
  if (content.length < SALT_BYTES) throw new ContentRefused('too short');
  return { salt: content.subarray(0, SALT_BYTES), canonical: content.subarray(SALT_BYTES) };
}

/**
 * Several events of one subject, sealed as one is: how many they are and their length in bytes (4 bytes each, big-endian), then the
 * events as in a batch (`packContent`). Each is found in it by its id.
 */
export function sealTogether(key: KeyObject, entries: readonly PackedEntry[]): Buffer {
  const { content, bytes } = packContent(entries);
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(entries.length);
  head.writeUInt32BE(bytes, 4);
  return seal(key, TOGETHER, Buffer.concat([head, content]));
}

const HEAD_BYTES = 8;

/**
 * The contents by the events' ids.
 *
 * @throws ContentRefused
 */
export function openTogether(key: KeyObject, sealed: Buffer): Map<string, Content> {
  const opened = open(key, TOGETHER, sealed);
  const head = { count: opened.readUInt32BE(), bytes: opened.readUInt32BE(4) };
  const entries = unpackContent({ content: opened.subarray(HEAD_BYTES), bytes: head.bytes }, head.count);
  return new Map(entries.map(({ id, salt, event }) => [id, { salt, canonical: event }]));
}

/** No event's id: what was sealed together is not taken for one event's content, nor the other way round. */
const TOGETHER = 'together';

function seal(key: KeyObject, about: string, content: Buffer): Buffer {
  const iv = nextIv();
  const cipher = createCipheriv(ALGORITHM, key, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(about, 'latin1'));
  const sealed = cipher.update(content);
  cipher.final();
  return Buffer.concat([iv, sealed, cipher.getAuthTag()]);
}

function open(key: KeyObject, about: string, sealed: Buffer): Buffer {
  if (sealed.length < IV_BYTES + TAG_BYTES) throw new ContentRefused('too short');
  const decipher = createDecipheriv(ALGORITHM, key, sealed.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(about, 'latin1'));
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()]);
  } catch (cause) {
    throw new ContentRefused('not what was sealed', { cause });
  }
}
