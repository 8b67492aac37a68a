type Closable = { close(): unknown } | AsyncDisposable;

export type Closing = {
  /** Registers `opened` to be closed, and returns it: `const db = closing.after(await openPostgres(...))`. */
  after<T extends Closable>(opened: T): T;
  /** Registers a function for what has no `close` of its own. */
  add(close: () => unknown): void;
  /**
   * Closes everything in the reverse of the order in which it was opened. Each close runs even when another fails;
   * the failures are thrown together at the end. A second call waits for the first.
   */
  close(): Promise<void>;
};

/** Opens in a straight line, closes in reverse: the one way a service is composed and taken apart. */
export function closeInReverse(): Closing {
  const closes: (() => unknown)[] = [];
  let closing: Promise<void> | undefined;

  const run = async () => {
    const failures: unknown[] = [];
    for (let close = closes.pop(); close; close = closes.pop()) {
      try {
        await close();
      } catch (failure) {
        failures.push(failure);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'something did not close');
  };

  return {
    after(opened) {
      closes.push(() => ('close' in opened ? opened.close() : opened[Symbol.asyncDispose]()));
      return opened;
    },
    add: (close) => void closes.push(close),
    close: () => (closing ??= run()),
  };
}
