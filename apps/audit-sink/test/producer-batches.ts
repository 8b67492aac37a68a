import {
  BATCH_TYPE,
  canonicalBytes,
  chainHash,
  commitmentOf,
  digestOfContent,
  entryLeaf,
  joinBatch,
  newEvent,
  NO_PREVIOUS,
  packContent,
  type AuditJob,
  type PackedEntry,
} from '@postern/audit';
import { signAsWorkload, type TlsMaterial } from '@postern/mtls';
import { randomBytes, randomUUID } from 'node:crypto';

const TENANTS = 5;
const PERSONS = 1_000;

/** Signed batches of a producer's first epoch as its relay makes them, each going on from the one before. */
export function producerBatches(producer: string, tls: Pick<TlsMaterial, 'current'>, persons = PERSONS) {
  let seq = 0;
  let hash: Uint8Array = NO_PREVIOUS;
  return {
    seq: () => seq,
    /** @param again entries of batches before, which come once more under new numbers, at the front. */
    next(count: number, again: readonly PackedEntry[] = []): { job: AuditJob; entries: PackedEntry[] } {
      const previous = Buffer.from(hash).toString('base64url');
      const first = seq + 1;
      const entries = Array.from({ length: count }, (_, i) => {
        const entry = again[i] ?? entryOf(seq, persons);
        const place = { producer, epoch: 1, seq: (seq += 1), previous: hash };
        hash = chainHash(entryLeaf(place, { ...entry, commitment: commitmentOf(entry.salt, entry.event) }));
        return entry;
      });
      const { content, bytes } = packContent(entries);
      const manifest = { v: 2, producer, epoch: 1, first, count, previous, content: digestOfContent(content), bytes };
      const signed = signAsWorkload(BATCH_TYPE, JSON.stringify(manifest), tls.current());
      return { job: { v: 2, batch: joinBatch(signed, content) }, entries };
    },
  };
}

/** An event of one of 5 tenants, tenant-0 to tenant-4, about one of the persons of each. */
function entryOf(i: number, persons: number): PackedEntry {
  const sub = `person-${Math.floor(i / TENANTS) % persons}`;
  const event = newEvent(
    {
      action: 'record.read',
      outcome: 'success',
      tenant: `tenant-${i % TENANTS}`,
      actor: { person: { issuer: 'https://idp.example/realms/postern', sub }, workload: 'portal' },
      resource: { type: 'record', id: randomUUID(), version: 1 },
      request: randomUUID(),
      details: { source: 'db' },
    },
    new Date(),
  );
  return { id: event.id, action: event.action, salt: randomBytes(32), event: Buffer.from(canonicalBytes(event)) };
}
