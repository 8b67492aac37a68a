import { z } from 'zod';

/** `typ` of a signed batch (R7: no other kind of token carries it). */
export const BATCH_TYPE = 'postern-audit-batch+jws';

/** Most entries in one batch. */
export const BATCH_MAX_ENTRIES = 1_024;

/** Most bytes of one event's canonical form. */
export const EVENT_MAX_BYTES = 32_768;

/** Most bytes of a batch's entries, packed and not yet compressed. */
export const BATCH_MAX_BYTES = 1_048_576;

/** Most characters of a job's batch; a longer one is not looked at (R25). */
export const BATCH_MAX_CHARACTERS = 1_500_000;

/** Name of the queue that carries batches to the log. */
export const AUDIT_QUEUE = 'audit';

const hash = z.string().regex(/^[A-Za-z0-9_-]{43}$/);
const position = z.int().min(1);

/**
 * What a relay signs: where consecutive entries of one producer and epoch stand, and the digest of the content that has them
 * (`packContent`). So the log can keep what was signed, and verify it, when events were erased (R26, R28). Whether entries fit
 * an event's schema is judged one by one, after the signature (R25).
 */
export const batchManifest = z.strictObject({
  v: z.literal(2),
  producer: z.string().min(1).max(64),
  /** Columns hold no greater one. */
  epoch: position.max(2 ** 31 - 1),
  /** Number of the first entry. */
  first: position,
  count: position.max(BATCH_MAX_ENTRIES),
  /** Leaf hash of the entry before the first. */
  previous: hash,
  /** SHA-256 of the content as it is sent. */
  content: hash,
  /** Length of the packed entries; the content is compressed where it is shorter. */
  bytes: position.max(BATCH_MAX_BYTES),
});
export type BatchManifest = z.output<typeof batchManifest>;

/** The payload of a job in the queue: `joinBatch` of the manifest's compact JWS and the content. */
export const auditJob = z.strictObject({ v: z.literal(2), batch: z.string().max(BATCH_MAX_CHARACTERS) });
export type AuditJob = z.output<typeof auditJob>;

/**
 * How far the log holds one producer's events, with the proof: the entry's leaf hash (the producer knows it), its index, its
 * inclusion in the signed checkpoint, and that checkpoint's consistency with the one the caller named. Hashes are base64url.
 */
export const watermark = z.strictObject({
  producer: z.string().describe('whose events'),
  epoch: z.int().min(0).describe('the newest one that the log has something of'),
  seq: z.int().min(0).describe('number of the last entry held without a gap'),
  hash: hash.nullable().describe('its leaf hash, base64url'),
  index: z.int().min(0).nullable().describe('its place in the log'),
  inclusion: z.array(hash).describe('from its leaf to the root of `checkpoint`, base64url'),
  checkpoint: z.string().nullable().describe('C2SP signed note'),
  consistency: z.array(hash).describe('from the checkpoint of `from` entries to this one, base64url'),
  key: z.string().describe("the log's verifier key (C2SP signed-note, `name+id+key`)"),
  /**
   * Entries of the newest checkpoint that is published elsewhere; null where nothing has to be (R27). A producer keeps what
   * has an index at or beyond it. `index` below it means: all up to `seq` may go.
   */
  published: z.int().min(0).nullable().optional().describe('entries that are published elsewhere'),
  /**
   * After a restore of the log: the contents from this number on are asked for again, although their leaves stand. A
   * producer sends its kept batches from there, once for each value that it sees (R27).
   */
  resend: z
    .strictObject({
      epoch: z.int().min(1).describe('of the entries'),
      seq: position.describe('from this number on they are asked for again'),
    })
    .nullable()
    .optional(),
  /**
   * The producer's epoch that an operator closed, and its last number that counts (R26). What has no entry in the log by then
   * is to be sent in a new epoch, under a certificate that began after the closing.
   */
  closed: z
    .strictObject({
      epoch: z.int().min(0).describe('that was closed'),
      seq: z.int().min(0).describe('its last number that counts'),
    })
    .optional(),
  /** Once the key was rotated: every key that the log ever had, each with a note under the one before it that names it. */
  keys: z
    .array(
      z.strictObject({
        verifier: z.string().describe('the line of the key (C2SP signed-note)'),
        generation: z.int().min(1).describe('counts the keys'),
        endorsement: z.string().nullable().describe('a note under the key before it that names it'),
      }),
    )
    .optional(),
});
export type Watermark = z.output<typeof watermark>;
