import { newEvent } from '@postern/audit';
import { queryIn, type Postgres } from '@postern/postgres';
import type { Logger, Now } from '@postern/runtime';
import type { KeycloakRealm } from '../sources-config.ts';
import { AdminApiFailed, type ReadPage } from './admin-api.ts';
import type { IdentityEvent } from './event.ts';
import { adminEventOf, userEventOf } from './polled-event.ts';
import { assertRoom, recordEvents, sourceOf, type RecordEvents } from './record-events.ts';

export type PollEvents = RecordEvents & {
  postgres: Pick<Postgres<unknown>, 'db' | 'query'>;
  logger: Logger;
  now: Now;
};

const PAGE = 100;

/**
 * Reads a realm's stored events of one kind from the cursor to their end. A page's events and the cursor behind them are
 * committed together, so that whoever goes on after a crash reads some again and records none twice.
 *
 * The cursor is a time of the provider's. Each round begins `lookBackSeconds` before it: an event is stored with its time
 * a moment before its transaction ends.
 *
 * @param ended asked after each page: whoever has to stop need not wait for all that a provider has to tell.
 */
export async function pollEvents(
  deps: PollEvents,
  realm: KeycloakRealm,
  kind: IdentityEvent['kind'],
  read: ReadPage,
  ended: () => boolean,
): Promise<void> {
  const { postgres, now } = deps;
  const source = sourceOf(realm, kind);
  const [held] = await postgres.query<{ at: Date }>('select at from source_cursors where source = $1', [source]);
  let reached = held?.at.getTime() ?? 0;
  let from = Math.max(0, reached - (realm.poll?.lookBackSeconds ?? 0) * 1_000);
  for (let first = 0; ;) {
    await assertRoom(postgres.query);
    const page = await read({ kind, from, first, max: PAGE });
    const last = page.length === 0 ? reached : lastTime(page);
    // A clock that runs ahead there must not make us pass over what comes next.
    reached = Math.max(reached, Math.min(last, now().getTime()));
    await takePage(deps, realm, { kind, page, reached });
    if (page.length < PAGE || ended()) return;
    // On by time, not by offset: events that expire there meanwhile would shift the rest.
    first = last === from ? first + PAGE : 0;
    from = last;
  }
}

async function takePage(
  deps: PollEvents,
  realm: KeycloakRealm,
  { kind, page, reached }: { kind: IdentityEvent['kind']; page: readonly unknown[]; reached: number },
): Promise<void> {
  const { postgres, metrics, logger, audit, now } = deps;
  const read = (value: unknown): IdentityEvent | undefined => (kind === 'user' ? userEventOf : adminEventOf)(value);
  const events = page.map(read).filter((event) => event !== undefined);
  const unreadable = page.length - events.length;
  await postgres.db.transaction().execute(async (tx) => {
    await recordEvents(deps, tx, realm, { events, way: 'poll' });
    await queryIn(tx)(
      `insert into source_cursors (source, at, polled_at) values ($1, $2, $3)
       on conflict (source) do update set at = excluded.at, polled_at = excluded.polled_at`,
      [sourceOf(realm, kind), new Date(reached), now()],
    );
    if (unreadable > 0) {
      const details = { kind: 'source_event_unreadable', about: sourceOf(realm, kind), count: unreadable };
      const actor = { workload: 'audit-sink' };
      const draft = { action: 'alarm.raised', outcome: 'success', tenant: realm.tenant, actor, details } as const;
      await audit.within(tx, newEvent(draft, now()));
    }
  });
  if (unreadable === 0) return;
  metrics.unreadable(realm.name, unreadable);
  logger.error({ kind: sourceOf(realm, kind), count: unreadable }, 'events of the provider could not be read');
}

/** @throws AdminApiFailed for a page that has no time to go on from. */
function lastTime(page: readonly unknown[]): number {
  const times = page.flatMap((one) => {
    const time = typeof one === 'object' && one !== null && 'time' in one ? one.time : undefined;
    return typeof time === 'number' && Number.isSafeInteger(time) ? [time] : [];
  });
  if (times.length === 0) throw new AdminApiFailed('no_times');
  return Math.max(...times);
}
