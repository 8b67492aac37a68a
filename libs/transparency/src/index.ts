export { checkpointText, openCheckpoint, signCheckpoint, type Checkpoint } from './checkpoint.ts';
export { openClosings, signClosings, type Closing, type Closings } from './closings.ts';
export { consistencyPath, verifyConsistency } from './consistency.ts';
export { emptyEdge, growEdge, rootOfEdge, type Completed, type Edge } from './edge.ts';
export { decodeEntries, encodeEntries, ENTRY_MAX_BYTES } from './entry-bundle.ts';
export { assertEndorsed, endorseKey, verifiersFrom } from './endorsement.ts';
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
  parseTileIndex,
  subtreeHash,
  TILE_HEIGHT,
  TILE_WIDTH,
  tileOf,
  tilePath,
  tileWidth,
  type InTile,
  type TileId,
} from './tile.ts';
export { nodesOf, rangeHash, rootHash, splitOf, type Lookup, type NodeId, type Range } from './tree.ts';
export { LogAltered, verifyTree, type Link, type LogSource, type Verification } from './verify-tree.ts';
export { ReceiptRefused, verifyReceipt, type Receipt } from './receipt.ts';
