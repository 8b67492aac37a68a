/** How the pieces of a stream are given to its reader. */
export type Pieces = {
  /**
   * A piece is good only until the next one is asked for: its memory is used again, and a stream runs in constant
   * memory at twice the speed. Only for a reader that is done with a piece when it asks; `Readable.from` and
   * `ReadableStream.from` ask ahead. Default: each piece is the reader's own.
   */
  readonly lent: boolean;
};

export const OWNED: Pieces = { lent: false };
