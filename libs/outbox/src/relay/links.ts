import { chainHash, commitmentOf, entryLeaf, type PackedEntry } from '@postern/audit';

/** The leaf hash of each entry, every one linked to the one before it (R22). */
export function linksOf(run: {
  producer: string;
  epoch: number;
  first: number;
  previous: Buffer;
  entries: readonly PackedEntry[];
}): Buffer[] {
  const { producer, epoch, first } = run;
  let { previous } = run;
  return run.entries.map(({ id, action, salt, event }, i) => {
    const place = { producer, epoch, seq: first + i, previous };
    previous = chainHash(entryLeaf(place, { id, action, commitment: commitmentOf(salt, event) }));
    return previous;
  });
}
