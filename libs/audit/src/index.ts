export { actionNames, actions, isMutation, type Action, type DetailsOf } from './actions.ts';
export {
  AUDIT_QUEUE,
  auditJob,
  BATCH_MAX_BYTES,
  BATCH_MAX_CHARACTERS,
  BATCH_MAX_ENTRIES,
  BATCH_TYPE,
  batchManifest,
  EVENT_MAX_BYTES,
  watermark,
  type AuditJob,
  type BatchManifest,
  type Watermark,
} from './batch.ts';
export {
  compressContent,
  digestOfContent,
  joinBatch,
  openBatch,
  packContent,
  splitBatch,
  unpackContent,
  type AuditBatch,
  type BatchContent,
} from './batch-content.ts';
export { canonicalBytes } from './canonical-bytes.ts';
export { auditEvent, outcomes, type AuditEvent, type Outcome } from './event.ts';
export {
  batchLeaf,
  chainHash,
  commitmentOf,
  entryLeaf,
  NO_PREVIOUS,
  SALT_BYTES,
  type LeafPlace,
  type LeafSubject,
} from './leaf.ts';
export { newEvent, type EventDraft } from './new-event.ts';
export { OCSF_VERSION, toOcsf } from './ocsf.ts';
export { packedLength, packEntries, unpackEntries, type PackedEntry } from './packed-entries.ts';
