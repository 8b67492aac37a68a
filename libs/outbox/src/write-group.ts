import { packEntries, unpackContent } from '@postern/audit';
import { type Counts, guardExpression, type Guards } from './guards.ts';
import type { PendingEvent } from './pending.ts';

/** What an SQL statement of a group needs: pg's own shape of a named statement. */
export type GroupStatement = { name: string; text: string; values: unknown[] };

/** A group to be written: its id is repeated where nobody knows whether it was committed (R23). */
export type EventGroup<Pending extends PendingEvent> = { id: string; events: Pending[] };

const RETURNED = 'on conflict (id) do nothing returning stale';

/** The end of a statement before which `stale (places)` says what is not to be recorded of it. */
export const PROVEN = `insert into audit_groups (id, count, body, stale) select $1, $2, $3, places from stale
  where coalesce(cardinality(places), 0) < $2 ${RETURNED}`;

/**
 * The statement that writes a group as one row, with the places (from 1) of the events whose guard does not hold: proof and
 * record are one statement, so a read is fresh at the instant of its commit (R32). It returns that row's `stale`, or no
 * row: the group stands already, or nothing of it was to be recorded.
 */
export function groupStatements(guards: Guards, counts: Counts = {}) {
  const ofAny = textsFor(guards, counts);
  // One for each guard, made when it is first used: an execution opens the tables of every guard in its text.
  const ofOne = new Map<string, Texts>();
  const only = (guard: string): Texts => {
    const known = ofOne.get(guard) ?? textsFor(pick(guards, guard), pick(counts, guard));
    ofOne.set(guard, known);
    return known;
  };
  const numbers = new Map(Object.keys(guards).map((guard, n) => [guard, n]));

  return ({ id, events }: EventGroup<PendingEvent>): GroupStatement => {
    const used = new Set(events.flatMap(({ guard }) => guard?.name ?? []));
    const hasEffects = events.some(({ opens, closes }) => opens || closes !== undefined);
    const kind: keyof Texts = `audit-group${used.size > 0 ? '-guarded' : ''}${hasEffects ? '-effects' : ''}`;
    const [guard] = used;
    const one = used.size === 1 && guard !== undefined ? { name: `-${numbers.get(guard)}`, texts: only(guard) } : null;
    const values = [
      id,
      events.length,
      packEntries(events),
      ...(used.size > 0 ? guardValues(events) : []),
      ...(hasEffects ? effectValues(events) : []),
    ];
    return { name: `${kind}${one?.name ?? ''}`, text: (one?.texts ?? ofAny)[kind], values };
  };
}

const pick = (all: Readonly<Record<string, string>>, name: string): Record<string, string> =>
  all[name] === undefined ? {} : { [name]: all[name] };

type Texts = ReturnType<typeof textsFor>;

function textsFor(guards: Guards, counts: Counts) {
  const given = 'unnest($4::int[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[])';
  const guarded = `stale as (
      select array_agg(e.place order by e.place) as places
      from ${given} as e(place, guard, k1, k2, k3, n)
      where coalesce(${guardExpression(guards)}, false) is not true)`;
  const plain = `insert into audit_groups (id, count, body) values ($1, $2, $3) ${RETURNED}`;
  const counted = Object.entries(counts).map(
    ([guard, sql], n) => `, counted_${n} as (
      with counted as (select e.* from ${given} as e(place, guard, k1, k2, k3, n), written w
        where e.guard = '${guard}' and e.place <> all(coalesce(w.stale, '{}')))
      ${sql} returning 1)`,
  );
  const prove = (before: string) =>
    counted.length === 0
      ? `with ${before} ${PROVEN}`
      : `with ${before}, written as (${PROVEN})${counted.join('')} select stale from written`;
  const effects = (from: number) => `opened as (
      insert into audit_intents (id, event)
      select i.id, substr($3::bytea, i.at, i.bytes)
      from unnest($${from}::uuid[], $${from + 1}::int[], $${from + 2}::int[]) as i(id, at, bytes)
      on conflict (id) do nothing),
    closed as (delete from audit_intents where id = any($${from + 3}::uuid[]))`;
  return {
    'audit-group': plain,
    'audit-group-guarded': prove(guarded),
    'audit-group-effects': `with ${effects(4)} ${plain}`,
    'audit-group-guarded-effects': prove(`${guarded}, ${effects(10)}`),
  };
}

function guardValues(events: PendingEvent[]): unknown[] {
  const used = events.flatMap(({ guard }, i) => (guard ? [{ place: i + 1, guard }] : []));
  return [
    used.map(({ place }) => place),
    used.map(({ guard }) => guard.name),
    used.map(({ guard }) => guard.k1 ?? null),
    used.map(({ guard }) => guard.k2 ?? null),
    used.map(({ guard }) => guard.k3 ?? null),
    used.map(({ guard }) => guard.n?.toString() ?? null),
  ];
}

/** Intents as they stand in the body: each event is the end of its entry. */
function effectValues(events: PendingEvent[]): unknown[] {
  let end = 0;
  const placed = events.map((one) => ({ ...one, at: (end += one.bytes) - one.event.length + 1 }));
  const opened = placed.filter(({ opens }) => opens);
  return [
    opened.map(({ id }) => id),
    opened.map(({ at }) => at),
    opened.map(({ event }) => event.length),
    events.flatMap(({ closes }) => (closes === undefined ? [] : [closes])),
  ];
}

/** For each event of a group whether it was recorded, by the places that were stale. */
export function recordedOf({ events }: EventGroup<PendingEvent>, stale: readonly number[] | null): boolean[] {
  const places = new Set(stale);
  return events.map((_, i) => !places.has(i + 1));
}

/** The same by the content of the batch that has the group's events since. */
export function recordedIn(
  { events }: EventGroup<PendingEvent>,
  batch: { content: Buffer; bytes: number; count: number },
): boolean[] {
  const ids = new Set(unpackContent(batch, batch.count).map(({ id }) => id));
  return events.map(({ id }) => ids.has(id));
}
