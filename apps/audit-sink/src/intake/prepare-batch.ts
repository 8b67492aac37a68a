import { hash } from 'node:crypto';
import { chainHash, commitmentOf, entryLeaf, type AuditEvent } from '@postern/audit';
import type { Pseudonyms } from '../subjects/pseudonyms.ts';
import { sealContent } from '../subjects/seal-content.ts';
import type { Subjects } from '../subjects/subjects.ts';
import { readEntry } from './read-entry.ts';
import type { SignedBatch } from './verify-batch.ts';

/** An entry as it will stand in the log, whatever its index will be. */
export type PreparedEntry = {
  seq: number;
  id: string;
  leaf: Buffer;
  hash: Buffer;
  /** The event and its sealed content; null where the content fits no event (R25). */
  event: { read: AuditEvent; subject: string; sealed: Buffer; pseudonym: string | null } | null;
  opaque: { reason: string; bytes: number; digest: Buffer } | null;
};

/** A batch with all work done that needs no place in the log. */
export type PreparedBatch = { signed: SignedBatch; received: Date; entries: PreparedEntry[] };

export type PrepareDeps = { subjects: Pick<Subjects, 'of'>; pseudonymOf: Pseudonyms };

/**
 * Reads, links and seals the entries of a signed batch: everything that takes time, before the log's row is locked, so that
 * one replica's work does not hold up another's. Every entry is linked to the one before it (R22).
 */
export async function prepareBatch(
  { subjects, pseudonymOf }: PrepareDeps,
  signed: SignedBatch,
  received: Date,
): Promise<PreparedBatch> {
  const { producer, epoch, first, entries } = signed.batch;
  let previous: Uint8Array = Buffer.from(signed.batch.previous, 'base64url');
  const prepared: PreparedEntry[] = [];
  const read = entries.map((entry) => readEntry(entry, entry.event));
  // Subjects of whom nothing is known yet take a while each: all at once.
  await Promise.all(read.map(({ event }) => event && subjects.of(event.tenant, event.actor.person)));
  for (const [i, entry] of entries.entries()) {
    const { salt, event: canonical } = entry;
    const commitment = commitmentOf(salt, canonical);
    const leaf = entryLeaf({ producer, epoch, seq: first + i, previous }, { ...entry, commitment });
    const hashed = chainHash(leaf);
    previous = hashed;
    const { event, opaque } = read[i]!;
    if (event === null) {
      const digest = hash('sha256', canonical, 'buffer');
      const kept = { reason: opaque, bytes: canonical.length, digest };
      prepared.push({ seq: first + i, id: entry.id, leaf, hash: hashed, event: null, opaque: kept });
      continue;
    }
    const { id: subject, key } = await subjects.of(event.tenant, event.actor.person);
    const sealed = sealContent(key, event.id, salt, canonical);
    const pseudonym = event.tenant === null ? null : await pseudonymOf(event.tenant);
    const content = { read: event, subject, sealed, pseudonym };
    prepared.push({ seq: first + i, id: entry.id, leaf, hash: hashed, event: content, opaque: null });
  }
  return { signed, received, entries: prepared };
}
