import type pg from 'pg';
import {
  BATCH_MAX_BYTES,
  BATCH_MAX_ENTRIES,
  compressContent,
  packContent,
  unpackEntries,
  type PackedEntry,
} from '@postern/audit';
import { insertBatch, type NumberedBatch } from './batch-rows.ts';
import { linksOf } from './links.ts';
import { inTransaction } from './in-transaction.ts';

/** Where a producer stands: the last number given, and the hash of the entry that has it. */
export type ProducerState = { epoch: number; seq: number; hash: Buffer; cluster: string };

/** The producer's row, locked until the transaction ends: whoever holds it is the only one who gives numbers (R22). */
export async function lockProducer(client: pg.ClientBase, producer: string): Promise<ProducerState> {
  const { rows } = await client.query<{ epoch: number; seq: string; hash: Buffer; cluster: string }>({
    name: 'relay-lock',
    text: 'select epoch, seq, hash, cluster from audit_producer where producer = $1 for update',
    values: [producer],
  });
  const [row] = rows;
  if (!row) throw new Error('the producer has no row');
  return { ...row, seq: Number(row.seq) };
}

/**
 * Gives the next numbers to committed events that have none, each linked to the one before it, and moves them out of the
 * groups into one numbered batch. What commits later gets a later number, so the sequence has no gap that could still be
 * filled.
 *
 * @returns where the producer stands now, and the batch that was made, if any. `more`: there may be further events.
 */
export async function numberEvents(
  client: pg.ClientBase,
  producer: string,
): Promise<{ state: ProducerState; made: NumberedBatch | null; more: boolean }> {
  return inTransaction(client, async () => {
    const state = await lockProducer(client, producer);
    const groups = await takeGroups(client);
    const entries = groups.flatMap(entriesOf);
    if (entries.length === 0) return { state, made: null, more: groups.length > 0 };
    const { epoch, seq, hash: previous } = state;
    const made: NumberedBatch = {
      epoch,
      first: seq + 1,
      last: seq + entries.length,
      previous,
      hash: linksOf({ producer, epoch, first: seq + 1, previous, entries }).at(-1)!,
      ...(groups.every(({ stale }) => stale === null)
        ? compressContent(Buffer.concat(groups.map(({ body }) => body)))
        : packContent(entries)),
    };
    await insertBatch(client, made, groups);
    await client.query({
      name: 'relay-number',
      text: 'update audit_producer set seq = $2, hash = $3 where producer = $1',
      values: [producer, made.last, made.hash],
    });
    const more = groups.length === MOST_GROUPS || entries.length >= BATCH_MAX_ENTRIES / 2;
    return { state: { ...state, seq: made.last, hash: made.hash }, made, more };
  });
}

/** Whether there is anything to number. A hint that takes no lock, for a relay that is idle. */
export async function hasUnnumbered(client: pg.ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ any: boolean }>({
    name: 'relay-any',
    text: 'select exists (select from audit_groups) as any',
  });
  return rows[0]?.any ?? false;
}

export type TakenGroup = { number: string; id: string; body: Buffer; stale: number[] | null };

/** Groups that are looked at for one batch. */
const MOST_GROUPS = 512;

/** Takes out the groups at the front that one batch may hold; one at least. */
async function takeGroups(client: pg.ClientBase): Promise<TakenGroup[]> {
  const { rows } = await client.query<TakenGroup>({
    name: 'relay-take',
    text: `with front as (
        select number, sum(count) over w as entries, sum(octet_length(body)) over w as bytes
        from (select number, count, body from audit_groups order by number limit $3) g window w as (order by number)),
      taken as (
        delete from audit_groups where number = any(array(
          select number from front where (entries <= $1 and bytes <= $2) or number = (select min(number) from front)))
        returning number, id, body, stale)
      select number, id, body, stale from taken order by number`,
    values: [BATCH_MAX_ENTRIES, BATCH_MAX_BYTES, MOST_GROUPS],
  });
  return rows;
}

function entriesOf({ body, stale }: TakenGroup): PackedEntry[] {
  const entries = unpackEntries(body);
  if (stale === null) return entries;
  const places = new Set(stale);
  return entries.filter((_, i) => !places.has(i + 1));
}
