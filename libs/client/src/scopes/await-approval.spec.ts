import { expect, test } from '@jest/globals';
import { PosternError } from '../errors.ts';
import { awaitApproval } from './await-approval.ts';

test.each([
  [undefined, 5],
  [0, 0],
  [7, 7],
  [3_000_000, 60],
])('a server that says to come again in %p s is asked again in %i', async (retryAfterSeconds, expected) => {
  const ending = new AbortController();
  const waits: number[] = [];
  const waiting = awaitApproval(
    async () => {
      throw new PosternError('token-exchange', 'approval_pending', {
        ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
      });
    },
    {
      audiences: [],
      signal: ending.signal,
      onPending: ({ intervalSeconds }) => {
        waits.push(intervalSeconds);
        ending.abort();
      },
    },
  );
  await expect(waiting).rejects.toMatchObject({ code: 'aborted' });
  expect(waits).toEqual([expected]);
});
