import type pg from 'pg';
import type { AuditEvent } from '@postern/audit';
import { pack } from './pack.ts';

/** An event, and where its content is sealed: with itself, or at the index of another of its batch. */
export type EventRow = {
  index: number;
  id: string;
  read: AuditEvent;
  subject: string;
  sealed: Buffer | null;
  sealedWith: number | null;
};
export type OpaqueRow = { index: number; id: string; reason: string; bytes: number; digest: Buffer };

/**
 * Writes what is searched and counted, and what is kept of entries that fit no event: size and hash, not the content (R25).
 * An event sent under two numbers stands, and counts, once: where it was sealed by itself the second is left out, else the
 * statement fails (23505), which costs those that stand once nothing.
 */
export async function writeEvents(
  client: pg.ClientBase,
  events: readonly EventRow[],
  opaque: readonly OpaqueRow[],
): Promise<void> {
  const apart = events.filter(({ sealedWith }) => sealedWith === null);
  const together = events.filter(({ sealedWith }) => sealedWith !== null);
  await Promise.all([
    ...(opaque.length > 0 ? [writeOpaque(client, opaque)] : []),
    ...(apart.length > 0 ? [writeApart(client, apart)] : []),
    ...(together.length > 0 ? [writeTogether(client, together)] : []),
  ]);
}

const INSERT = `insert into log_every_event
    (index, event_id, tenant, action, outcome, occurred_at, subject, workload, resource, trace, sealed_with, sealed)
  select e.index, e.event_id, e.tenant, e.action, e.outcome, e.occurred_at, e.subject, e.workload, e.resource, e.trace, e.sealed_with,
    substr($12::bytea, e.at, e.bytes)
  from unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::uuid[], $8::text[],
    $9::text[], $10::text[], $11::bigint[], $13::int[], $14::int[])
    as e(index, event_id, tenant, action, outcome, occurred_at, subject, workload, resource, trace, sealed_with, at, bytes)`;
const COUNT = `insert into log_every_count as c (tenant, hour, action, outcome, count)`;
const COUNTED = `on conflict (tenant, hour, action, outcome) do update set count = c.count + excluded.count`;

function rowsOf(events: readonly EventRow[]): unknown[] {
  const packed = pack(events.map(({ sealed }) => sealed));
  return [
    events.map(({ index }) => index),
    events.map(({ id }) => id),
    events.map(({ read }) => read.tenant),
    events.map(({ read }) => read.action),
    events.map(({ read }) => read.outcome),
    events.map(({ read }) => read.time),
    events.map(({ subject }) => subject),
    events.map(({ read }) => read.actor.workload ?? null),
    events.map(({ read }) => (read.resource ? `${read.resource.type}:${read.resource.id}` : null)),
    events.map(({ read }) => read.trace ?? null),
    events.map(({ sealedWith }) => sealedWith),
    packed.whole,
    packed.starts,
    packed.lengths,
  ];
}

async function writeTogether(client: pg.ClientBase, events: readonly EventRow[]): Promise<void> {
  await Promise.all([
    client.query({ name: 'sink-events', text: INSERT, values: rowsOf(events) }),
    writeCounts(client, events),
  ]);
}

async function writeCounts(client: pg.ClientBase, events: readonly EventRow[]): Promise<void> {
  const counts = new Map<string, { tenant: string; hour: string; action: string; outcome: string; count: number }>();
  for (const { read } of events) {
    const { tenant, action, outcome } = read;
    if (tenant === null) continue;
    const hour = `${read.time.slice(0, HOUR)}:00:00Z`;
    const name = `${hour} ${action} ${outcome} ${tenant}`;
    const held = counts.get(name);
    if (held) held.count += 1;
    else counts.set(name, { tenant, hour, action, outcome, count: 1 });
  }
  if (counts.size === 0) return;
  const rows = [...counts.values()];
  await client.query({
    name: 'sink-counts',
    text: `${COUNT} select * from unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::bigint[]) ${COUNTED}`,
    values: [
      rows.map(({ tenant }) => tenant),
      rows.map(({ hour }) => hour),
      rows.map(({ action }) => action),
      rows.map(({ outcome }) => outcome),
      rows.map(({ count }) => count),
    ],
  });
}

/** Characters of a time up to its hour. */
const HOUR = '2026-01-01T00'.length;

async function writeApart(client: pg.ClientBase, events: readonly EventRow[]): Promise<void> {
  await client.query({
    name: 'sink-events-apart',
    text: `with put as (${INSERT} on conflict (event_id) do nothing returning tenant, action, outcome, occurred_at)
      ${COUNT} select tenant, date_trunc('hour', occurred_at, 'UTC'), action, outcome, count(*) from put
      where tenant is not null group by 1, 2, 3, 4 ${COUNTED}`,
    values: rowsOf(events),
  });
}

async function writeOpaque(client: pg.ClientBase, opaque: readonly OpaqueRow[]): Promise<void> {
  await client.query({
    name: 'sink-opaque',
    text: `insert into log_opaque (index, event_id, reason, bytes, digest)
      select o.index, o.event_id, o.reason, o.bytes, decode(o.digest, 'hex')
      from unnest($1::bigint[], $2::uuid[], $3::text[], $4::int[], $5::text[]) as o(index, event_id, reason, bytes, digest)`,
    values: [
      opaque.map(({ index }) => index),
      opaque.map(({ id }) => id),
      opaque.map(({ reason }) => reason),
      opaque.map(({ bytes }) => bytes),
      opaque.map(({ digest }) => digest.toString('hex')),
    ],
  });
}
