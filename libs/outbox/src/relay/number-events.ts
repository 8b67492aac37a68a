import type pg from 'pg';
import { BATCH_MAX_ENTRIES, chainHash, commitmentOf, entryLeaf, type AuditBatch } from '@postern/audit';
import { insertBatch, type NumberedBatch } from './batch-rows.ts';
import { inTransaction } from './in-transaction.ts';

/** Bytes of events in one batch, so that the signed job stays within `BATCH_MAX_CHARACTERS`. */
const BATCH_BYTES = 700_000;

type Unnumbered = { id: string; action: string; salt: Buffer; canonical: Buffer };

/** Where a producer stands: the last number given, and the hash of the entry that has it. */
export type ProducerState = { epoch: number; seq: number; hash: Buffer; cluster: string };

/** The producer's row, locked until the transaction ends: whoever holds it is the only one who gives numbers (R22). */
export async function lockProducer(client: pg.ClientBase, producer: string): Promise<ProducerState> {
  const { rows } = await client.query<{ epoch: number; seq: string; hash: Buffer; cluster: string }>(
    'select epoch, seq, hash, cluster from audit_producer where producer = $1 for update',
    [producer],
  );
  const [row] = rows;
  if (!row) throw new Error('the producer has no row');
  return { ...row, seq: Number(row.seq) };
}

/**
 * Gives the next numbers to committed events that have none, each linked to the one before it, and moves them out of the
 * outbox into one numbered batch. What commits later gets a later number, so the sequence has no gap that could still be
 * filled.
 *
 * @returns where the producer stands now, and the batch that was made, if any; a full one means there may be more.
 */
export async function numberEvents(
  client: pg.ClientBase,
  producer: string,
): Promise<{ state: ProducerState; made: NumberedBatch | null; more: boolean }> {
  return inTransaction(client, async () => {
    const state = await lockProducer(client, producer);
    const { rows } = await client.query<Unnumbered>({
      name: 'relay-unnumbered',
      text: 'select id, action, salt, canonical from audit_outbox order by id limit $1',
      values: [BATCH_MAX_ENTRIES],
    });
    const taken = withinBytes(rows);
    if (taken.length === 0) return { state, made: null, more: false };
    const { epoch, seq } = state;
    let previous = state.hash;
    for (const [i, { id, action, salt, canonical }] of taken.entries()) {
      const place = { producer, epoch, seq: seq + 1 + i, previous };
      previous = Buffer.from(chainHash(entryLeaf(place, { id, action, commitment: commitmentOf(salt, canonical) })));
    }
    const batch: AuditBatch = {
      v: 1,
      producer,
      epoch,
      first: seq + 1,
      previous: state.hash.toString('base64url'),
      entries: taken.map(({ id, action, salt, canonical }) => ({
        id,
        action,
        salt: salt.toString('base64url'),
        event: canonical.toString('base64url'),
      })),
    };
    const made = { batch, last: seq + taken.length, hash: previous };
    await insertBatch(client, made);
    await client.query('update audit_producer set seq = $2, hash = $3 where producer = $1', [
      producer,
      made.last,
      made.hash,
    ]);
    const after = { ...state, seq: made.last, hash: made.hash };
    return { state: after, made, more: taken.length < rows.length || rows.length === BATCH_MAX_ENTRIES };
  });
}

/** Whether there is anything to number. A hint that takes no lock, for a relay that is idle. */
export async function hasUnnumbered(client: pg.ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ any: boolean }>({
    name: 'relay-any',
    text: 'select exists (select from audit_outbox) as any',
  });
  return rows[0]?.any ?? false;
}

/** The rows at the front that one signed job may hold. */
function withinBytes(rows: Unnumbered[]): Unnumbered[] {
  let bytes = 0;
  const over = rows.findIndex(({ canonical }) => (bytes += canonical.length) > BATCH_BYTES);
  return over < 0 ? rows : rows.slice(0, Math.max(1, over));
}
