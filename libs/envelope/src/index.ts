export { BranchKeyUnknown, type BranchKey, type BranchKeySource } from './branch-key.ts';
export { serializeContext, serializePairs, type EncryptionContext } from './context.ts';
export { createEnvelope, type Envelope, type SealedAt } from './envelope.ts';
export { namedKey, uuidOf, type NamedKey } from './named-key.ts';
export { EnvelopeRefused, type RefusalReason } from './refused.ts';
