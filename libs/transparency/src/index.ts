export { checkpointText, openCheckpoint, signCheckpoint, type Checkpoint } from './checkpoint.ts';
export { consistencyPath, verifyConsistency } from './consistency.ts';
export { emptyRoot, HASH_BYTES, leafHash, nodeHash } from './hash.ts';
export { inclusionPath, verifyInclusion } from './inclusion.ts';
export {
  keyId,
  NoteRefused,
  openNote,
  parseVerifier,
  signNote,
  verifierLine,
  type NoteSigner,
  type NoteVerifier,
} from './note.ts';
export {
  nodesFinishedBy,
  nodesOf,
  rangeHash,
  rootHash,
  splitOf,
  type Lookup,
  type Node,
  type NodeId,
  type Range,
} from './tree.ts';
export { ReceiptRefused, verifyReceipt, type Receipt } from './receipt.ts';
