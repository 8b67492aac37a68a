import { PosternError } from './errors.ts';

/**
 * Waits for the work until the signal aborts: then this wait ends, and the work, which others may share, goes on.
 * @throws PosternError `aborted`
 */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined, service: string): Promise<T> {
  if (!signal) return work;
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => (stop = () => reject(new PosternError(service, 'aborted'))));
  // Where nobody waits any more, its end is nobody's failure.
  work.catch(() => undefined);
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop);
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
