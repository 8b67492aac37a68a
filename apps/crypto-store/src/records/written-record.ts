/** What a write left behind. */
export type WrittenRecord = {
  id: string;
  version: number;
  /** Whether there was nothing to read before. */
  created: boolean;
  bytes: number;
  /** Older versions that went out. */
  pruned: number;
  /**
   * SHA-256 of the sealed message in hex: what `audit verify --records` compares rows with (R34). Null for a write that was
   * made before, under the same `Idempotency-Key`: what stands in the row by now is nothing to vouch for.
   */
  ciphertextHash: string | null;
};
