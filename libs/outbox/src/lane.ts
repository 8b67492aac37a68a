import type pg from 'pg';
import { SALT_BYTES } from '@postern/audit';
import { guardExpression, type Guards } from './guards.ts';
import type { PendingEvent } from './pending.ts';

/** One dedicated connection that writes groups of events. */
export type Lane = {
  /** For each event whether it stands in the outbox; false: its guard no longer holds. Throws what Postgres said. */
  write(events: PendingEvent[]): Promise<boolean[]>;
  close(): void;
};

/** Replaced at this age, so that a rotated certificate is in use everywhere within it (R12). */
const CONNECTION_MAX_AGE_MS = 600_000;

// A locked table must not hold callers for long: they are answered 503 instead.
const SESSION = `set lock_timeout = '2s'; set statement_timeout = '5s'; set synchronous_commit = on; set plan_cache_mode = force_generic_plan`;

/** Opens the lane. It connects at the first write, and again after a failure. */
export function openLane(pool: pg.Pool, guards: Guards): Lane {
  // Salts and events come as one value each, with where each ends: an array of them would double their bytes as text.
  const rows = `unnest($1::uuid[], $2::text[], $3::int[], $4::int[], $7::text[], $8::text[], $9::text[], $10::text[], $11::bigint[])
    with ordinality as e(id, action, at, bytes, guard, k1, k2, k3, n, place)`;
  const columns = `e.id, e.action, substr($5::bytea, (e.place::int - 1) * ${SALT_BYTES} + 1, ${SALT_BYTES}),
    substr($6::bytea, e.at, e.bytes)`;
  const insert = `insert into audit_outbox (id, action, salt, canonical)
    select ${columns} from ${rows} where ${guardExpression(guards)}
    on conflict (id) do nothing returning id`;
  // After a broken connection nobody knows whether the group was committed: rows that stand count as written (R23), also
  // those that were numbered since.
  const again = `with stood as (
      select id from audit_outbox where id = any($1::uuid[])
      union all select i.id from audit_batches b, unnest(b.ids) as i(id)
        where b.created_at > now() - interval '5 minutes' and i.id = any($1::uuid[])
    ), written as (insert into audit_outbox (id, action, salt, canonical)
      select ${columns} from ${rows} where ${guardExpression(guards)} and not exists (select from stood s where s.id = e.id)
      on conflict (id) do nothing returning id)
    select id from written union all select id from stood`;

  let open: { client: pg.PoolClient; since: number } | undefined;

  const drop = () => {
    open?.client.release(true);
    open = undefined;
  };
  const connected = async (): Promise<pg.PoolClient> => {
    if (open && Date.now() - open.since > CONNECTION_MAX_AGE_MS) drop();
    if (open) return open.client;
    const client = await pool.connect();
    // A broken idle connection is noticed at the next write; without a listener it would end the process.
    client.on('error', () => {});
    open = { client, since: Date.now() };
    await client.query(SESSION);
    return client;
  };
  const execute = async (name: string, text: string, events: PendingEvent[]): Promise<Set<string>> => {
    const client = await connected();
    try {
      const { rows: found } = await client.query<{ id: string }>({ name, text, values: valuesOf(events) });
      return new Set(found.map(({ id }) => id));
    } catch (error) {
      if (!isAnswer(error)) drop();
      throw error;
    }
  };

  return {
    async write(events) {
      let held: Set<string>;
      try {
        held = await execute('audit-commit', insert, events);
      } catch (error) {
        if (isAnswer(error)) throw error;
        held = await execute('audit-commit-again', again, events);
      }
      // Without a guard the only reason for a missing row is one with the same id that stands already.
      return events.map(({ id, guard }) => held.has(id) || guard === undefined);
    },
    close: drop,
  };
}

function valuesOf(events: PendingEvent[]): unknown[] {
  let at = 1;
  const starts = events.map(({ canonical }) => (at += canonical.length) - canonical.length);
  const canonical = events.map((event) => event.canonical);
  return [
    events.map(({ id }) => id),
    events.map(({ action }) => action),
    starts,
    canonical.map(({ length }) => length),
    Buffer.concat(events.map(({ salt }) => salt)),
    Buffer.concat(canonical),
    events.map(({ guard }) => guard?.name ?? ''),
    events.map(({ guard }) => guard?.k1 ?? null),
    events.map(({ guard }) => guard?.k2 ?? null),
    events.map(({ guard }) => guard?.k3 ?? null),
    events.map(({ guard }) => guard?.n?.toString() ?? null),
  ];
}

const SQLSTATE = /^[0-9A-Z]{5}$/;

/** Classes in which Postgres speaks of the connection or of itself going down, not of the statement. */
const BROKEN = /^(08|57P)/;

/** Whether Postgres itself answered, and the connection lives on. */
export function isAnswer(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' && SQLSTATE.test(code) && !BROKEN.test(code);
}

/** Whether one row of a group can be at fault: data exception, integrity violation, program limit, access rule. */
export function isOneRowsFault(error: unknown): boolean {
  return isAnswer(error) && /^(22|23|54|P0)/.test((error as { code: string }).code);
}
