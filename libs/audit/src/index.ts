export { actionNames, actions, type Action, type DetailsOf } from './actions.ts';
export {
  AUDIT_QUEUE,
  auditBatch,
  auditJob,
  BATCH_MAX_CHARACTERS,
  BATCH_MAX_ENTRIES,
  BATCH_TYPE,
  EVENT_MAX_BYTES,
  watermark,
  type AuditBatch,
  type AuditJob,
  type Watermark,
} from './batch.ts';
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
