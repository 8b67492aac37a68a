/** The root key, or the table of branch keys, cannot be reached: sealing and opening wait for it. Callers answer 503. */
export class KeysUnavailable extends Error {
  override readonly name = 'KeysUnavailable';
  constructor(cause?: unknown) {
    super('keys cannot be reached', { cause });
  }
}

/** The root key refuses: wrapped bytes, context or key are not those of the wrapping. */
export class RootKeyRefused extends Error {
  override readonly name = 'RootKeyRefused';
  constructor(cause?: unknown) {
    super('the root key refused', { cause });
  }
}
