import { setTimeout as sleep } from 'node:timers/promises';
import { readableSize } from '../log/wanted.ts';
import type { ReadLog } from '../routes/deps.ts';
import { asTenant } from './as-tenant.ts';
import { cursorAt } from './cursor.ts';
import { findRows, openRows, type EventFilter } from './find-events.ts';

const LOOK_MS = 1_000;
const BEAT_MS = 15_000;
const PAGE = 200;

/**
 * A tenant's events as server-sent events, from entry `begin` on, until `ended` says so. Each id leads on where a stream broke.
 *
 * @param following `filterNow`: asked at each look, for whom it names may have had no event yet when the stream began.
 */
export async function* followEvents(
  log: ReadLog,
  following: { tenant: string; filterNow: () => Promise<EventFilter>; begin: number; ended: () => Promise<boolean> },
): AsyncGenerator<string> {
  const { tenant, filterNow, ended } = following;
  let { begin } = following;
  let wroteAt = performance.now();
  // At once, so that the caller knows that it is connected, and from where a next stream would go on: of an empty log, from nowhere.
  yield `retry: 1000\n${begin > 0 ? `id: ${cursorAt(begin - 1)}\n` : ''}: following\n\n`;
  while (!(await ended())) {
    const size = await readableSize(log.query);
    if (size > begin) {
      const window = { begin, end: size, newestFirst: false, limit: PAGE };
      const filter = await filterNow();
      const { rows, more, last } = await asTenant(log.postgres, tenant, (own) => findRows(own, filter, window));
      for (const { index, event } of await openRows(rows, log.subjects)) {
        yield `id: ${cursorAt(index)}\nevent: audit\ndata: ${JSON.stringify(event)}\n\n`;
        wroteAt = performance.now();
      }
      begin = more && last !== null ? last + 1 : size;
      if (more) continue;
    }
    if (performance.now() - wroteAt > BEAT_MS) {
      yield ': \n\n';
      wroteAt = performance.now();
    }
    await sleep(LOOK_MS);
  }
}
