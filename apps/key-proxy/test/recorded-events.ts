import { unpackContent, type AuditEvent } from '@postern/audit';
import { type World } from './world.ts';

/** Everything that key-proxy has recorded, oldest first; the relay of a worker may have numbered some already. */
export async function recordedEvents(world: Pick<World, 'rows'>): Promise<AuditEvent[]> {
  const batches = await world.rows<{ content: Buffer; bytes: number; count: string }>(
    'select content, bytes, last - first + 1 as count from audit_batches order by epoch, last',
  );
  const left = await world.rows<{ event: Buffer }>('select canonical as event from audit_outbox order by id');
  const numbered = batches.flatMap((batch) => unpackContent(batch, Number(batch.count)));
  return [...numbered, ...left].map(({ event }) => JSON.parse(event.toString('utf8')) as AuditEvent);
}
