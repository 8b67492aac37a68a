import { type WrittenRecord } from '../records/written-record.ts';

/** What a write's event says: the version and the hash of its ciphertext, for `audit verify --records` (R34); never the key. */
export const written = ({ id, version, bytes, pruned, ciphertextHash }: WrittenRecord) => ({
  resource: { type: 'record', id, version },
  ...(ciphertextHash === null ? { reason: 'repeated' } : {}),
  details: {
    bytes,
    ...(ciphertextHash === null ? {} : { ciphertextHash }),
    ...(pruned > 0 ? { pruned } : {}),
  },
});
