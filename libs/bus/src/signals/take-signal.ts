import type { Kysely, Transaction } from 'kysely';
import { queryIn } from '@postern/postgres';
import type { Signal } from './signal.ts';

/**
 * What a service does about a type of signal, in a transaction of its own database that also records that it was taken: so it
 * has its effect once, however often it comes. The body fits its version.
 */
export type SignalHandler<Schema = unknown> = (
  tx: Transaction<Schema>,
  signal: { id: string; from: string; version: number; body: never },
) => Promise<void>;
export type SignalHandlers<Schema = unknown> = Readonly<Record<string, SignalHandler<Schema>>>;

/** Signals of one sender that may wait for a release that knows them; more are not taken, and come again. */
const PARKED = 1_000;

/** @returns false when it was taken before. */
export function takeSignal<Schema>(
  db: Kysely<Schema>,
  { id, from, type, version, body }: Signal,
  handler: SignalHandler<Schema>,
): Promise<boolean> {
  return db.transaction().execute(async (tx) => {
    const rows = await queryIn(tx)(
      `insert into signals_in as s (sender, id, type, version) values ($1, $2, $3, $4)
       on conflict (sender, id) do update set parked = null, received_at = now() where s.parked is not null returning 1`,
      [from, id, type, version],
    );
    if (rows.length === 0) return false;
    await handler(tx, { id, from, version, body: body as never });
    return true;
  });
}

/** Keeps a signal of a type or version that this release does not know, for one that does. */
export async function parkSignal<Schema>(db: Kysely<Schema>, signal: Signal): Promise<void> {
  await queryIn(db)(
    `insert into signals_in (sender, id, type, version, parked)
     select $1, $2, $3, $4, $5 where (select count(*) from signals_in where sender = $1 and parked is not null) < $6
     on conflict do nothing`,
    [signal.from, signal.id, signal.type, signal.version, JSON.stringify(signal.body), PARKED],
  );
}

/** What was parked and is of one of these types now. */
export async function parkedSignals<Schema>(
  db: Kysely<Schema>,
  to: string,
  types: readonly string[],
): Promise<Omit<Signal, 'at'>[]> {
  const rows = await queryIn(db)<{ sender: string; id: string; type: string; version: number; parked: Signal['body'] }>(
    `select sender, id, type, version, parked from signals_in where parked is not null and type = any($1)
     order by received_at limit $2`,
    [types, PARKED],
  );
  return rows.map(({ sender, parked, ...rest }) => ({ v: 1, from: sender, to, body: parked, ...rest }));
}

/** Longer than any signature is accepted, so that a signal that is sent again is still known; from when it had its effect on. */
const KEPT_DAYS = 7;

export async function forgetTaken<Schema>(db: Kysely<Schema>): Promise<void> {
  await queryIn(db)(
    `delete from signals_in where ctid = any(array(select ctid from signals_in
       where parked is null and received_at < now() - make_interval(days => $1) limit 1000))`,
    [KEPT_DAYS],
  );
}
