import { hash } from 'node:crypto';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { BATCH_MAX_BYTES, type BatchManifest } from './batch.ts';
import { packEntries, unpackEntries, type PackedEntry } from './packed-entries.ts';

/** The content of a batch as it is kept and sent, and what its manifest says of it. */
export type BatchContent = { content: Buffer; bytes: number };

const FAST = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** Packs and compresses entries; see `compressContent`. */
export const packContent = (entries: readonly PackedEntry[]): BatchContent => compressContent(packEntries(entries));

/** Compresses packed entries (Zstandard, RFC 8878); what does not become shorter stays as it is. */
export function compressContent(packed: Buffer): BatchContent {
  const compressed = zstdCompressSync(packed, FAST);
  return { content: compressed.length < packed.length ? compressed : packed, bytes: packed.length };
}

/**
 * The entries of a content, which is compressed where it is shorter than `bytes`.
 *
 * @throws Error when it is not what `packContent` made: sizes are held against the promise before memory is taken (R25).
 */
export function unpackContent({ content, bytes }: BatchContent, count: number): PackedEntry[] {
  if (bytes > BATCH_MAX_BYTES || content.length > bytes) throw new RangeError('a content is longer than it may be');
  const packed = content.length === bytes ? content : zstdDecompressSync(content, { maxOutputLength: BATCH_MAX_BYTES });
  const entries = packed.length === bytes ? unpackEntries(packed, count) : [];
  if (entries.length !== count) throw new RangeError('a content holds other than it says');
  return entries;
}

/** SHA-256 of a content as it is sent, base64url: what the manifest names. */
export const digestOfContent = (content: Buffer): string => hash('sha256', content, 'base64url');

/** A job's text: the signed manifest, `~`, the content in base64url. */
export const joinBatch = (manifest: string, content: Buffer): string => `${manifest}~${content.toString('base64url')}`;

/** Takes a job's text apart; null where it is none. */
export function splitBatch(text: string): { manifest: string; content: Buffer } | null {
  const [manifest = '', content, more] = text.split('~', 3);
  if (content === undefined || more !== undefined) return null;
  return { manifest, content: Buffer.from(content, 'base64url') };
}

/** A batch with its entries at hand. */
export type AuditBatch = Pick<BatchManifest, 'producer' | 'epoch' | 'first' | 'previous'> & { entries: PackedEntry[] };

/**
 * The entries that a verified manifest promised.
 *
 * @throws Error when the content is another, or none.
 */
export function openBatch(manifest: BatchManifest, content: Buffer): AuditBatch {
  const { producer, epoch, first, count, previous, bytes, content: digest } = manifest;
  if (digestOfContent(content) !== digest) throw new RangeError('the content is another than was signed');
  return { producer, epoch, first, previous, entries: unpackContent({ content, bytes }, count) };
}
