import { hash } from 'node:crypto';
import { chainHash, commitmentOf, entryLeaf, type AuditEvent } from '@postern/audit';
import type { Pseudonyms } from '../subjects/pseudonyms.ts';
import { sealContent } from '../subjects/seal-content.ts';
import type { Subjects } from '../subjects/subjects.ts';
import { readEntry } from './read-entry.ts';
import { sealInParts, type Place } from './seal-in-parts.ts';
import type { SignedBatch } from './verify-batch.ts';

/** An entry as it will stand in the log, whatever its index will be. */
export type PreparedEntry = {
  seq: number;
  id: string;
  leaf: Buffer;
  hash: Buffer;
  /** The event and where its content is sealed; null where the content fits no event (R25). */
  event: ({ read: AuditEvent; subject: string; pseudonym: string | null } & Place) | null;
  opaque: { reason: string; bytes: number; digest: Buffer } | null;
};

/** A batch with all work done that needs no place in the log. */
export type PreparedBatch = {
  signed: SignedBatch;
  received: Date;
  entries: PreparedEntry[];
  /** Each event is sealed by itself: any of them may be left out. */
  apart: boolean;
};

export type PrepareDeps = { subjects: Pick<Subjects, 'of'>; pseudonymOf: Pseudonyms };

/**
 * Reads, links and seals the entries of a signed batch: everything that takes time, before the log's row is locked, so that
 * one replica's work does not hold up another's. Every entry is linked to the one before it (R22).
 *
 * @param options `apart`: seals each event by itself, not those of a subject together.
 */
export async function prepareBatch(
  { subjects, pseudonymOf }: PrepareDeps,
  signed: SignedBatch,
  received: Date,
  { apart = false } = {},
): Promise<PreparedBatch> {
  const { producer, epoch, first, entries } = signed.batch;
  const read = entries.map((entry) => readEntry(entry, entry.event));
  // Subjects of whom nothing is known yet take a while each: all at once.
  const about = await Promise.all(read.map(({ event }) => event && subjects.of(event.tenant, event.actor.person)));
  const tenants = new Set(read.flatMap(({ event }) => event?.tenant ?? []));
  const pseudonyms = new Map(
    await Promise.all([...tenants].map(async (tenant) => [tenant, await pseudonymOf(tenant)] as const)),
  );
  const places = apart
    ? entries.map(({ id, salt, event }, i) => {
        const subject = about[i];
        return subject ? { sealed: sealContent(subject.key, id, salt, event), sealedWith: null } : null;
      })
    : sealInParts(entries, about);
  let previous: Uint8Array = Buffer.from(signed.batch.previous, 'base64url');
  const prepared = entries.map((entry, i): PreparedEntry => {
    const { id, salt, event: canonical } = entry;
    const commitment = commitmentOf(salt, canonical);
    const leaf = entryLeaf({ producer, epoch, seq: first + i, previous }, { ...entry, commitment });
    const hashed = chainHash(leaf);
    previous = hashed;
    const stands = { seq: first + i, id, leaf, hash: hashed };
    const { event, opaque } = read[i]!;
    if (event === null) {
      const digest = hash('sha256', canonical, 'buffer');
      return { ...stands, event: null, opaque: { reason: opaque, bytes: canonical.length, digest } };
    }
    const pseudonym = event.tenant === null ? null : pseudonyms.get(event.tenant)!;
    return { ...stands, event: { read: event, subject: about[i]!.id, pseudonym, ...places[i]! }, opaque: null };
  });
  return { signed, received, entries: prepared, apart };
}
