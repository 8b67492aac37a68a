import type { Query } from '@postern/postgres';

export type DecisionWatch = {
  /** Resolves true once the approval is pending no more, false when the time is over. */
  decided(id: string, seconds: number): Promise<boolean>;
  close(): void;
};

const LOOK_EVERY_MS = 500;
/** More than these at once are not waited for: they poll, as everyone may. */
const MOST_WAITING = 1_000;

/** Waits for decisions by one look at the table for all who wait, twice a second, and none where nobody does. */
export function watchDecisions(query: Query): DecisionWatch {
  const waiting = new Map<string, Set<(decided: boolean) => void>>();
  let timer: NodeJS.Timeout | undefined;
  let count = 0;

  function schedule(): void {
    if (timer !== undefined || waiting.size === 0) return;
    timer = setTimeout(() => {
      timer = undefined;
      void look().finally(schedule);
    }, LOOK_EVERY_MS);
  }

  async function look(): Promise<void> {
    const ended = await query<{ id: string }>(
      `select id from approvals where id = any($1::uuid[]) and state <> 'pending'`,
      [[...waiting.keys()]],
    ).catch(() => []);
    for (const { id } of ended) waiting.get(id)?.forEach((tell) => tell(true));
  }

  return {
    decided(id, seconds) {
      if (count >= MOST_WAITING || seconds <= 0) return Promise.resolve(false);
      return new Promise((resolve) => {
        const told = waiting.get(id) ?? new Set();
        const tell = (decided: boolean) => {
          clearTimeout(over);
          count -= 1;
          told.delete(tell);
          if (told.size === 0) waiting.delete(id);
          resolve(decided);
        };
        const over = setTimeout(() => tell(false), seconds * 1000);
        count += 1;
        waiting.set(id, told.add(tell));
        schedule();
      });
    },
    close() {
      clearTimeout(timer);
      for (const told of waiting.values()) for (const tell of told) tell(false);
    },
  };
}
