import { TILE_WIDTH } from '@postern/transparency';
import type { Query } from '@postern/postgres';
import { signerOf } from '../log/checkpoint-key.ts';
import { logSource } from '../log/log-source.ts';
import { inclusionProofs } from '../log/proofs.ts';
import type { ReadLog } from '../routes/deps.ts';
import { asTenant } from './as-tenant.ts';
import { gatherEvidence, receiptsOver } from './evidence.ts';
import { findRows, openRows, type EventFilter } from './find-events.ts';

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
      const receipts = await receiptsOver(own, { begin, end, treeSize });
      const covered = Math.min(end, (receipts.at(-1)?.index ?? end - 1) + 1);
      const { rows, more, last } = await findRows(own, filter, {
        begin,
        end: covered,
        newestFirst: false,
        limit: PAGE,
      });
      const until = more && last !== null ? last + 1 : covered;
      const indexes = rows.map(({ index }) => Number(index));
      const within = receipts.filter(({ first }) => first < until);
      return { receipts: within, until, rows, proven: await provenLeaves(own, indexes, treeSize) };
    });
    const { until, receipts, rows, proven } = part;
    const opened = (await openRows(rows, log.subjects)).filter(({ index }) => proven.has(index));
    const shown = opened.map(({ index }) => index);
    const speaksOf = { begin, end: until, pseudonym, receipts, shown };
    const evidence = await asTenant(log.postgres, tenant, (own) => gatherEvidence(own, speaksOf));
    for (const receipt of evidence.receipts) yield line({ receipt });
    for (const { index, event, salt } of opened) {
      yield line({ event, salt: salt.toString('base64url'), index, ...proven.get(index) });
    }
    const { unmatched, erased } = evidence;
    yield line({ left: { begin, end: until, unmatched, erased } });
    events += opened.length;
    begin = until;
  }
  yield line({ end: { events } });
}

/** Leaf and proof (base64) of entries, as a receipt has them. */
async function provenLeaves(
  query: Query,
  indexes: readonly number[],
  treeSize: number,
): Promise<Map<number, { leaf: string; proof: string[] }>> {
  const proofs = await inclusionProofs(query, indexes, treeSize);
  const source = logSource(query);
  const bundles = new Map<number, readonly Buffer[]>();
  for (const tile of new Set(indexes.map((index) => Math.floor(index / TILE_WIDTH)))) {
    bundles.set(tile, await source.bundle(tile, TILE_WIDTH));
  }
  return new Map(
    indexes.flatMap((index, i) => {
      const leaf = bundles.get(Math.floor(index / TILE_WIDTH))?.[index % TILE_WIDTH];
      if (!leaf) return [];
      const proof = proofs[i]!.map((hash) => hash.toString('base64'));
      return [[index, { leaf: leaf.toString('base64'), proof }] as const];
    }),
  );
}
