import type { Query } from '@postern/postgres';
import { eraseAll, stopAtPages } from './erase-events.ts';

/** A copy of what was erased, and until when it can still be read. */
export type Copy = { copy: string; until: string | null };

/** A forwarder that is sent what is personal, because its operator has declared that it erases within so many days. */
export type ForwardedCopy = { name: string; withinDays: number; tenants?: readonly string[] | undefined };

/** Days, and hours, that copies outside the log live for. */
export type CopyLives = {
  backupDays: number;
  producerHours: number;
  busHours: number;
  forwarded: readonly ForwardedCopy[];
};

/**
 * Erases a person from the log (R28): the keys of all their events, the sealed events, and what they are searched by. The leaves
 * stay, and say nothing: what a leaf commits to was salted. Appends that are under way under the old key are waited for, or
 * fail and are made anew under a new one. The key goes last, so that appends of whomever, one after the other, wait for it no
 * longer than the events take that came meanwhile.
 *
 * @returns how many events.
 */
export async function erasePerson(query: Query, subject: string): Promise<number> {
  await stopAtPages(query);
  const rows = await query<{ id: string }>(
    `select s.id from log_subjects s, (select coalesce(mac, replaced_mac) as mac from log_subjects where id = $1) asked
     where s.mac = asked.mac or s.replaced_mac = asked.mac`,
    [subject],
  );
  const all = rows.map(({ id }) => id);
  const before = await eraseOf(query, all);
  const gone = await query('delete from log_subjects where id = any($1::uuid[]) returning 1', [all]);
  if (gone.length === 0) return before;
  return before + (await eraseOf(query, all));
}

async function eraseOf(query: Query, people: readonly string[]): Promise<number> {
  let events = 0;
  for (const person of people) events += await eraseAll(query, person);
  return events;
}

/** Where copies of a tenant's events are, and when the last of each is gone. */
export function copiesOf(lives: CopyLives, tenant: string, now: Date): Copy[] {
  const later = (hours: number) => new Date(now.getTime() + hours * 3_600_000).toISOString();
  return [
    { copy: 'log database', until: null },
    { copy: 'sealed batches that producers keep', until: later(lives.producerHours) },
    { copy: 'jobs on the bus', until: later(lives.busHours) },
    { copy: "backups of the log's and the producers' databases", until: later(lives.backupDays * 24) },
    ...lives.forwarded
      .filter(({ tenants }) => tenants === undefined || tenants.includes(tenant))
      .map(({ name, withinDays }) => ({ copy: `what was forwarded to ${name}`, until: later(withinDays * 24) })),
  ];
}
