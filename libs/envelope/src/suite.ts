// Algorithm suite 0x0478: AES-256-GCM, HKDF-SHA-512, key commitment, no signature
// (AWS Encryption SDK specification, framework/algorithm-suites.md).

/** Message format 2.0 (data-format/message-header.md, Supported Versions). */
export const MESSAGE_VERSION = 2;
export const SUITE_ID = 0x0478;
export const KEY_BYTES = 32;
export const IV_BYTES = 12;
export const TAG_BYTES = 16;
export const MESSAGE_ID_BYTES = 32;
/** Format 2.0 authenticates its header under the zero IV (client-apis/encrypt.md, Authentication tag). */
export const HEADER_IV: Uint8Array = new Uint8Array(IV_BYTES);
/** The suite data of 0x0478 is the commitment. */
export const COMMITMENT_BYTES = 32;

export const CONTENT_UNFRAMED = 1;
export const CONTENT_FRAMED = 2;

/**
 * What we write: sixteen of the specification's default frames, because a cipher object costs as much as 10 KiB of
 * encryption. A shorter plaintext is one final frame of its own length.
 */
export const FRAME_BYTES = 65_536;

// What we read. A length in a message is a stranger's claim: it is held against these before anything is allocated (R29).
export const MAX_FRAME_BYTES = 1 << 20;
export const MAX_CONTEXT_BYTES = 8192;
export const MAX_BRANCH_KEY_ID_BYTES = 128;
