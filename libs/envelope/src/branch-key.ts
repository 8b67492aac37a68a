/** One version of a branch key (framework/structures.md, Branch Key Materials). */
export type BranchKey = {
  id: string;
  /** The version's UUID as its 16 bytes. */
  version: Uint8Array;
  /** 32 bytes of key, lent: the owner overwrites them when the key leaves its cache. */
  key: Uint8Array;
};

/** No such branch key or version, or its record was altered: an envelope turns this into its one refusal. */
export class BranchKeyUnknown extends Error {
  override readonly name = 'BranchKeyUnknown';

  constructor() {
    super('no such branch key');
  }
}

/**
 * Where branch keys come from. A key is lent for the time of one synchronous call: the owner may overwrite it right
 * after, so that nothing can be sealed under a key that was zeroised meanwhile.
 * Both reject with `BranchKeyUnknown`, or with the store's own error when it cannot be reached.
 */
export type BranchKeySource = {
  withActive<T>(branchKeyId: string, use: (key: BranchKey) => T): Promise<T>;
  withVersion<T>(branchKeyId: string, version: Uint8Array, use: (key: BranchKey) => T): Promise<T>;
};
