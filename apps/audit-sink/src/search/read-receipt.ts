import type { AuditEvent } from '@postern/audit';
import type { Postgres, Query } from '@postern/postgres';
import { problem } from '@postern/runtime';
import { decodeEntries } from '@postern/transparency';
import { signerOf, type FollowedKey, type LogKeys } from '../log/checkpoint-key.ts';
import { newestCheckpoint, signNewest } from '../log/checkpoints.ts';
import { inclusionProof } from '../log/proofs.ts';
import type { Subjects } from '../subjects/subjects.ts';
import { asTenant } from './as-tenant.ts';
import { contentOf, type SealedRow } from '../subjects/open-rows.ts';
import { openRows } from './find-events.ts';

export type EventReceipt = {
  event: AuditEvent;
  salt: string;
  index: number;
  leaf: string;
  proof: string[];
  checkpoint: string;
  origin: string;
  /** The key that signed the checkpoint. */
  key: string;
  /** Every key of the log, the newest first: who kept an old one follows from it by the word of each for the next. */
  keys: FollowedKey[];
  treeSize: number;
};

export type ReadReceipt = {
  query: Query;
  postgres: Pick<Postgres<unknown>, 'db'>;
  subjects: Pick<Subjects, 'keysOf'>;
  key: LogKeys;
};

/**
 * All that is needed to verify offline that an event is in the log: the event and the salt of its commitment, the leaf, the
 * proof of inclusion and the signed checkpoint. Salt in base64url, leaf and proof in base64.
 *
 * @throws Problem `event_not_found`, also for another tenant's event, and for one that was erased.
 */
export async function readReceipt(
  { query, postgres, subjects, key }: ReadReceipt,
  { tenant, id }: { tenant: string; id: string },
): Promise<EventReceipt> {
  // The sink signs after its commit (R27): whoever asks in between signs the same head.
  await signNewest(query, key);
  const newest = await newestCheckpoint(query);
  // After it: a key stands before its first signature, so the key of this one is among those that are there now.
  await key.refresh();
  const rows = await asTenant(postgres, tenant, (own) =>
    own<SealedRow>(
      `select ${contentOf('log_events')} from log_events e where event_id = $1 and index < $2 and subject is not null`,
      [id, newest?.size ?? 0],
    ),
  );
  const [found] = await openRows(rows, subjects);
  if (!found || !newest) throw problem('event_not_found');
  const [leaf, proof] = await Promise.all([
    leafAt(query, found.index),
    inclusionProof(query, found.index, newest.size),
  ]);
  return {
    event: found.event,
    salt: found.salt.toString('base64url'),
    index: found.index,
    leaf: leaf.toString('base64'),
    proof: proof.map((hash) => hash.toString('base64')),
    checkpoint: newest.note,
    origin: key.origin,
    key: signerOf(newest.note, key).verifier,
    keys: [...key.keys],
    treeSize: newest.size,
  };
}

async function leafAt(query: Query, index: number): Promise<Buffer> {
  const [run] = await query<{ first: string; entries: Buffer }>(
    'select first, entries from log_runs where first <= $1 order by first desc limit 1',
    [index],
  );
  const leaf = run && decodeEntries(run.entries)[index - Number(run.first)];
  if (!leaf) throw problem('event_not_found');
  return leaf;
}
