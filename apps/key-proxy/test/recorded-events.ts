import { unpackContent, type AuditEvent } from '@postern/audit';
import { type World } from './world.ts';

/**
 * Everything that key-proxy has recorded, oldest first; the relay of a worker may have numbered some already.
 * One statement, so one snapshot: between two of them the relay would take events out of where neither looks.
 */
export async function recordedEvents(world: Pick<World, 'rows'>): Promise<AuditEvent[]> {
  const held = await world.rows<{ content: Buffer; bytes: number; count: string } | { content: null; event: Buffer }>(
    `select content, bytes, last - first + 1 as count, null as event, epoch, last, null as id from audit_batches
     union all
     select null, null, null, canonical, null, null, id from audit_outbox
     order by epoch nulls last, last, id`,
  );
  const events = held.flatMap((row) =>
    row.content === null ? [row] : unpackContent(row, Number(row.count)).map(({ event }) => ({ event })),
  );
  return events.map(({ event }) => JSON.parse(event.toString('utf8')) as AuditEvent);
}
