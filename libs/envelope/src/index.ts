export { BranchKeyUnknown, type BranchKey, type BranchKeySource } from './branch-key.ts';
export { callersPairs, isCallersKey, PURPOSE } from './caller-context.ts';
export { serializeContext, serializePairs, type EncryptionContext } from './context.ts';
export { freshDataKey, unwrapDataKey, versionOf, type DataKey } from './data-key.ts';
export { branchDataKeys, type DataKeys, type SealedAt } from './data-keys.ts';
export { createEnvelope, envelopeOver, type Envelope, type MessageStream } from './envelope.ts';
export { namedKey, uuidOf, type NamedKey } from './named-key.ts';
export { type Pieces } from './pieces.ts';
export { EnvelopeRefused, type RefusalReason } from './refused.ts';
