import type pg from 'pg';
import { chainHash, commitmentOf, entryLeaf } from '@postern/audit';
import { inTransaction } from './in-transaction.ts';

const PER_TRANSACTION = 1_000;

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
 * Gives the next numbers to committed events that have none, each linked to the one before it. What commits later gets a
 * later number, so the sequence has no gap that could still be filled.
 *
 * @returns where the producer stands now, and how many were numbered; a full portion means there may be more.
 */
export async function numberEvents(
  client: pg.ClientBase,
  producer: string,
): Promise<{ state: ProducerState; numbered: number; more: boolean }> {
  return inTransaction(client, async () => {
    const state = await lockProducer(client, producer);
    const { rows } = await client.query<{ id: string; action: string; salt: Buffer; canonical: Buffer }>({
      name: 'relay-unnumbered',
      text: 'select id, action, salt, canonical from audit_outbox where seq is null order by id limit $1',
      values: [PER_TRANSACTION],
    });
    if (rows.length === 0) return { state, numbered: 0, more: false };
    let { seq, hash: previous } = state;
    const links = rows.map(({ id, action, salt, canonical }) => {
      const link = { id, seq: (seq += 1), previous };
      const commitment = commitmentOf(salt, canonical);
      const leaf = entryLeaf(
        { producer, epoch: state.epoch, seq, previous: link.previous },
        { id, action, commitment },
      );
      previous = Buffer.from(chainHash(leaf));
      return { ...link, hash: previous };
    });
    await client.query(
      `update audit_outbox o set epoch = $1, seq = u.seq, previous = u.previous, hash = u.hash
       from unnest($2::uuid[], $3::bigint[], $4::bytea[], $5::bytea[]) as u(id, seq, previous, hash) where o.id = u.id`,
      [
        state.epoch,
        links.map(({ id }) => id),
        links.map((link) => link.seq),
        links.map((link) => link.previous),
        links.map(({ hash }) => hash),
      ],
    );
    await client.query('update audit_producer set seq = $2, hash = $3 where producer = $1', [producer, seq, previous]);
    return {
      state: { ...state, seq, hash: previous },
      numbered: rows.length,
      more: rows.length === PER_TRANSACTION,
    };
  });
}
