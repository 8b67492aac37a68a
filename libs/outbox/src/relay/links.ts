import { chainHash, commitmentOf, entryLeaf, type AuditBatch } from '@postern/audit';

/** The leaf hash of each entry of a batch, every one linked to the one before it (R22). */
export function linksOf({ producer, epoch, first, previous, entries }: AuditBatch): { hash: Buffer }[] {
  let before = Buffer.from(previous, 'base64url');
  return entries.map(({ id, action, salt, event }, i) => {
    const commitment = commitmentOf(Buffer.from(salt, 'base64url'), Buffer.from(event, 'base64url'));
    const place = { producer, epoch, seq: first + i, previous: before };
    before = Buffer.from(chainHash(entryLeaf(place, { id, action, commitment })));
    return { hash: before };
  });
}
