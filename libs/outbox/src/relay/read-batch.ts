import type pg from 'pg';
import { BATCH_MAX_ENTRIES, type AuditBatch } from '@postern/audit';

/** Bytes of events in one batch, so that the signed job stays within `BATCH_MAX_CHARACTERS`. */
const BATCH_BYTES = 700_000;

type Row = { id: string; action: string; salt: Buffer; canonical: Buffer; previous: Buffer };

/** The consecutive events after `seq`, as one batch; null where there are none. */
export async function readBatch(
  client: pg.ClientBase,
  { producer, epoch, seq }: { producer: string; epoch: number; seq: number },
): Promise<AuditBatch | null> {
  const { rows } = await client.query<Row>({
    name: 'relay-batch',
    text: `select id, action, salt, canonical, previous from audit_outbox
           where epoch = $1 and seq > $2 and seq <= $2 + $3 order by seq`,
    values: [epoch, seq, BATCH_MAX_ENTRIES],
  });
  const [first] = rows;
  if (!first) return null;
  const taken: Row[] = [];
  let bytes = 0;
  for (const row of rows) {
    bytes += row.canonical.length;
    if (bytes > BATCH_BYTES && taken.length > 0) break;
    taken.push(row);
  }
  return {
    v: 1,
    producer,
    epoch,
    first: seq + 1,
    previous: first.previous.toString('base64url'),
    entries: taken.map(({ id, action, salt, canonical }) => ({
      id,
      action,
      salt: salt.toString('base64url'),
      event: canonical.toString('base64url'),
    })),
  };
}
