/** Where the log is published, outside its database (R27): a folder on another volume, or a bucket in another account. */
export type Place = {
  /** The bytes under a name; null where there are none. @throws Error when it cannot be reached */
  read(name: string): Promise<Buffer | null>;
  /** Whole or not at all. */
  write(name: string, bytes: Uint8Array): Promise<void>;
  close(): void;
};

/** How long one step may take. */
export const PLACE_TIMEOUT_MS = 5_000;
