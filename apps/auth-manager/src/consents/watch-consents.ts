import type { Kysely } from 'kysely';
import type { Now } from '@postern/runtime';
import type { Schema } from '../db/schema.ts';
import { type ConsentRow, type PublicState, publicState } from './consent.ts';

/** How far a consent has come, as a number that only grows: what an event of it is numbered by. */
export const stepOf = (state: PublicState): number => (state === 'pending' ? 1 : state === 'started' ? 2 : 3);

export type WatchConsents = {
  /** Resolves with the consent once it is past `step`, or `null` after `ms` milliseconds, or when the watch closes. */
  past(id: string, step: number, ms: number): Promise<ConsentRow | null>;
  /** Whether nobody is to wait any more: the replica drains, and whoever waited has been answered. */
  ended(): boolean;
  /** Asked at each look; true ends all waiting. */
  endWhen(draining: () => Promise<boolean>): void;
  close(): Promise<void>;
};

const LOOK_EVERY_MS = 400;

type Waiting = { id: string; step: number; until: number; tell(consent: ConsentRow | null): void };

/**
 * Waits for consents to move on: one query per look for all who wait in this process, and none while nobody does.
 */
export function watchConsents({ db, now }: { db: Kysely<Schema>; now: Now }): WatchConsents {
  const waiting = new Set<Waiting>();
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> = Promise.resolve();
  let draining = async () => false;
  let ended = false;

  const leave = (one: Waiting, consent: ConsentRow | null) => {
    waiting.delete(one);
    one.tell(consent);
  };
  const endAll = () => {
    ended = true;
    for (const one of [...waiting]) leave(one, null);
  };
  async function look(): Promise<void> {
    if (await draining()) return endAll();
    const ids = [...new Set([...waiting].map(({ id }) => id))];
    const rows = await db.selectFrom('consents').selectAll().where('id', 'in', ids).execute();
    const byId = new Map(rows.map((row) => [row.id, row]));
    for (const one of [...waiting]) {
      const consent = byId.get(one.id);
      if (consent && stepOf(publicState(consent, now())) > one.step) leave(one, consent);
      else if (performance.now() >= one.until) leave(one, null);
    }
  }
  const again = () => {
    if (timer !== undefined || waiting.size === 0) return;
    timer = setTimeout(() => {
      // A look that fails is one look: whoever waits has the next one, and its time.
      looking = look()
        .catch(() => {
          for (const one of [...waiting]) if (performance.now() >= one.until) leave(one, null);
        })
        .finally(() => {
          timer = undefined;
          again();
        });
    }, LOOK_EVERY_MS);
  };

  return {
    past: (id, step, ms) =>
      new Promise((tell) => {
        if (ended) return tell(null);
        waiting.add({ id, step, until: performance.now() + ms, tell });
        again();
      }),
    ended: () => ended,
    endWhen: (asked) => void (draining = asked),
    async close() {
      clearTimeout(timer);
      endAll();
      await looking;
    },
  };
}
