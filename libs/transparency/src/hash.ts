import { hash } from 'node:crypto';

/** Bytes of a hash in the tree: SHA-256. */
export const HASH_BYTES = 32;

/** Hash of an entry: SHA-256(0x00 || entry), RFC 9162 section 2.1.1. */
export const leafHash = (entry: Uint8Array): Buffer => hash('sha256', Buffer.concat([LEAF, entry]), 'buffer');

/** Hash of two subtrees: SHA-256(0x01 || left || right), RFC 9162 section 2.1.1. */
export const nodeHash = (left: Uint8Array, right: Uint8Array): Buffer =>
  hash('sha256', Buffer.concat([NODE, left, right]), 'buffer');

/** Root of a tree without entries: the hash of the empty string. */
export const emptyRoot = (): Buffer => hash('sha256', '', 'buffer');

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);
