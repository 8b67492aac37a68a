import { Problem } from '@postern/runtime';

/** What became of a stream. */
export type Ending = { readonly outcome: 'success' } | { readonly outcome: 'failed'; readonly reason: string };

/**
 * The same pieces; `record` is waited for before the end is given out, so that nobody sees an unrecorded one. A source
 * that fails, or a reader that goes away, is recorded too.
 */
export async function* recordedStream(
  source: AsyncIterable<Uint8Array | string>,
  record: (ending: Ending) => Promise<unknown>,
): AsyncGenerator<Uint8Array | string, void> {
  let ending: Ending = { outcome: 'failed', reason: 'reader_gone' };
  try {
    yield* source;
    ending = { outcome: 'success' };
  } catch (error) {
    ending = { outcome: 'failed', reason: error instanceof Problem ? error.code : 'internal_error' };
    throw error;
  } finally {
    await record(ending);
  }
}
