import { problem } from '@postern/runtime';

export type TurnLimits = {
  /** Calls under way at all providers together. */
  atOnce: number;
  /** Of them at any one provider. */
  perProvider: number;
  /** How many may wait for a turn at one provider. Default 200. */
  waiting?: number;
  /** How long one waits. Default {@link LONGEST_WAIT_MS}. */
  waitMs?: number;
};

const RETRY_AFTER_SECONDS = 5;
/** For a turn, and for the grant's lock. */
export const LONGEST_WAIT_MS = 15_000;

type Waiter = { provider: string; go: () => void };

/**
 * Lets so many calls run at once, at most a part of them at one provider; whoever comes then waits its turn, in order,
 * within bounds.
 * @throws Problem `grant_busy` where too many wait already, or the turn did not come in time.
 */
export function providerTurns({ atOnce, perProvider, waiting = 200, waitMs = LONGEST_WAIT_MS }: TurnLimits) {
  const underWay = new Map<string, number>();
  let total = 0;
  let line: Waiter[] = [];
  const busy = () => problem('grant_busy', { retryAfterSeconds: RETRY_AFTER_SECONDS });
  const free = (provider: string) => total < atOnce && (underWay.get(provider) ?? 0) < perProvider;

  function enter(provider: string): void {
    total += 1;
    underWay.set(provider, (underWay.get(provider) ?? 0) + 1);
  }
  function leave(provider: string): void {
    total -= 1;
    const left = (underWay.get(provider) ?? 1) - 1;
    if (left === 0) underWay.delete(provider);
    else underWay.set(provider, left);
    const next = line.find((waiter) => free(waiter.provider));
    if (!next) return;
    line = line.filter((waiter) => waiter !== next);
    enter(next.provider);
    next.go();
  }

  async function turn(provider: string): Promise<void> {
    if (free(provider)) {
      enter(provider);
      return;
    }
    if (line.filter((waiter) => waiter.provider === provider).length >= waiting) throw busy();
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        provider,
        go: () => {
          clearTimeout(timer);
          resolve();
        },
      };
      const timer = setTimeout(() => {
        line = line.filter((one) => one !== waiter);
        reject(busy());
      }, waitMs);
      line.push(waiter);
    });
  }

  return async <Result>(provider: string, work: () => Promise<Result>): Promise<Result> => {
    await turn(provider);
    try {
      return await work();
    } finally {
      leave(provider);
    }
  };
}
