import { TILE_WIDTH } from '@postern/transparency';
import type { Query } from '@postern/postgres';
import { signerOf } from '../log/checkpoint-key.ts';
import { logSource } from '../log/log-source.ts';
import { inclusionProofs } from '../log/proofs.ts';
import type { ReadLog } from '../routes/deps.ts';
import { asTenant } from './as-tenant.ts';
import { gatherEvidence, receiptsOver } from './evidence.ts';
import { findEvents, type EventFilter, type FoundEvent } from './find-events.ts';

const PAGE = 500;

export type Exported = {
  tenant: string;
  filter: EventFilter;
  begin: number;
  end: number;
  treeSize: number;
  checkpoint: string;
  pseudonym: string;
};

/**
 * A tenant's events of entries [begin, end) with what proves them, one JSON value a line: first the log and its checkpoint, then
 * receipts of batches, the events that they say are the tenant's, and which of those are not shown; last the count. Whoever has
 * the log's key verifies it offline, and sees whether anything is missing.
 */
export async function* exportEvents(log: ReadLog, exported: Exported): AsyncGenerator<string> {
  const { tenant, filter, end, treeSize, checkpoint, pseudonym } = exported;
  const line = (value: object) => `${JSON.stringify(value)}\n`;
  await log.key.refresh();
  const { origin, keys } = log.key;
  const key = signerOf(checkpoint, log.key).verifier;
  yield line({ log: { origin, key, keys, checkpoint, begin: exported.begin, end, pseudonym } });
  let events = 0;
  for (let begin = exported.begin; begin < end;) {
    const part = await asTenant(log.postgres, tenant, async (own) => {
      const receipts = await receiptsOver(own, { begin, end });
      const covered = Math.min(end, (receipts.at(-1)?.index ?? end - 1) + 1);
      const window = { begin, end: covered, newestFirst: false, limit: PAGE };
      const found = await findEvents(own, log.subjects, filter, window);
      const until = found.more && found.last !== null ? found.last + 1 : covered;
      const within = receipts.filter(({ first }) => first < until);
      const shown = found.events.map(({ index }) => index);
      const evidence = await gatherEvidence(own, { begin, end: until, treeSize, pseudonym, receipts: within, shown });
      return { evidence, until, events: await provenEvents(own, found.events, treeSize) };
    });
    for (const receipt of part.evidence.receipts) yield line({ receipt });
    for (const event of part.events) yield line(event);
    const { unmatched, erased } = part.evidence;
    yield line({ left: { begin, end: part.until, unmatched, erased } });
    events += part.events.length;
    begin = part.until;
  }
  yield line({ end: { events } });
}

/** Events with salt (base64url), leaf and proof (base64), as a receipt has them. */
async function provenEvents(query: Query, events: readonly FoundEvent[], treeSize: number) {
  const proofs = await inclusionProofs(
    query,
    events.map(({ index }) => index),
    treeSize,
  );
  const source = logSource(query);
  const bundles = new Map<number, readonly Buffer[]>();
  for (const tile of new Set(events.map(({ index }) => Math.floor(index / TILE_WIDTH)))) {
    bundles.set(tile, await source.bundle(tile, TILE_WIDTH));
  }
  return events.flatMap(({ index, event, salt }, i) => {
    const leaf = bundles.get(Math.floor(index / TILE_WIDTH))?.[index % TILE_WIDTH];
    if (!leaf) return [];
    const proof = proofs[i]!.map((hash) => hash.toString('base64'));
    return [{ event, salt: salt.toString('base64url'), index, leaf: leaf.toString('base64'), proof }];
  });
}
