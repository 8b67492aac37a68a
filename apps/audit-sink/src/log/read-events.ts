import { problem } from '@postern/runtime';
import type { Query } from '@postern/postgres';
import type { AuditEvent } from '@postern/audit';
import type { CheckpointKey } from './checkpoint-key.ts';
import { newestCheckpoint, signNewest } from './checkpoints.ts';
import { inclusionProof } from './proofs.ts';

export type EventPage = { events: AuditEvent[]; next?: string };

const eventOf = (canonical: Buffer): AuditEvent => JSON.parse(canonical.toString('utf8')) as AuditEvent;

/**
 * A page of a tenant's events in the order of the log. Only those under a signed checkpoint are shown: each has a receipt.
 *
 * @param after the cursor of the page before.
 */
export async function listEvents(
  query: Query,
  {
    tenant,
    action,
    after,
    limit,
  }: { tenant: string; action?: string | undefined; after?: string | undefined; limit: number },
): Promise<EventPage> {
  const size = (await newestCheckpoint(query))?.size ?? 0;
  const rows = await query<{ index: string; canonical: Buffer }>(
    `select index, canonical from log_events
     where tenant = $1 and opaque is null and canonical is not null and index > $2 and index < $3
       and ($4::text is null or action = $4)
     order by index limit $5`,
    [tenant, after === undefined ? -1 : cursorIndex(after), size, action ?? null, limit + 1],
  );
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  const more = rows.length > limit && last !== undefined;
  return {
    events: page.map(({ canonical }) => eventOf(canonical)),
    ...(more ? { next: Buffer.from(`i${last.index}`).toString('base64url') } : {}),
  };
}

function cursorIndex(cursor: string): string {
  const [, index] = /^i(\d{1,15})$/.exec(Buffer.from(cursor, 'base64url').toString('latin1')) ?? [];
  if (index === undefined) {
    throw problem('invalid_input', { fields: [{ field: 'query.after', rule: 'a cursor of an earlier answer' }] });
  }
  return index;
}

export type EventReceipt = {
  event: AuditEvent;
  salt: string;
  index: number;
  leaf: string;
  proof: string[];
  checkpoint: string;
  origin: string;
  key: string;
  treeSize: number;
};

/**
 * All that is needed to verify offline that an event is in the log: the event and the salt of its commitment, the leaf, the
 * proof of inclusion and the signed checkpoint. Salt in base64url, leaf and proof in base64.
 *
 * @throws Problem `event_not_found`, also for another tenant's event.
 */
export async function readReceipt(
  query: Query,
  key: CheckpointKey,
  { tenant, id }: { tenant: string; id: string },
): Promise<EventReceipt> {
  // The sink signs after its commit (R27): whoever asks in between signs the same head.
  await signNewest(query, key);
  const newest = await newestCheckpoint(query);
  const [row] = await query<{ index: string; canonical: Buffer; salt: Buffer; leaf: Buffer }>(
    `select v.index, v.canonical, v.salt, e.leaf from log_events v join log_entries e on e.index = v.index
     where v.event_id = $1 and v.tenant = $2 and v.opaque is null and v.canonical is not null and v.index < $3`,
    [id, tenant, newest?.size ?? 0],
  );
  if (!row || !newest) throw problem('event_not_found');
  const index = Number(row.index);
  const proof = await inclusionProof(query, index, newest.size);
  return {
    event: eventOf(row.canonical),
    salt: row.salt.toString('base64url'),
    index,
    leaf: row.leaf.toString('base64'),
    proof: proof.map((hash) => hash.toString('base64')),
    checkpoint: newest.note,
    origin: key.origin,
    key: key.verifier,
    treeSize: newest.size,
  };
}
