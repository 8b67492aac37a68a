import { decodeEntries } from '@postern/transparency';
import type { Query } from '@postern/postgres';
import { inclusionProofs } from '../log/proofs.ts';

/** Most batches whose receipts one answer carries. */
export const EVIDENCE_BATCHES = 200;

/**
 * What shows that an answer leaves out nothing of entries [begin, end): the receipts of all batches there, each proven, which
 * say by pseudonym which entries are the tenant's; and why those that are not shown are not.
 */
export type Evidence = {
  begin: number;
  end: number;
  pseudonym: string;
  /** Leaf and proof in base64, as in a receipt. */
  receipts: { index: number; leaf: string; proof: string[] }[];
  /** The tenant's entries that did not match, and those whose content is gone. */
  unmatched: number[];
  erased: number[];
};

export type BatchReceipt = { first: number; index: number; leaf: Buffer; proof: Buffer[] };

/** Receipts of the batches that hold entries from `begin` on, up to `end`, at most {@link EVIDENCE_BATCHES}, with their inclusion. */
export async function receiptsOver(
  query: Query,
  { begin, end, treeSize }: { begin: number; end: number; treeSize: number },
): Promise<BatchReceipt[]> {
  const rows = await query<{ first: string; leaves: number; entries: Buffer }>(
    `select first, leaves, entries from log_runs
     where first >= (select coalesce(max(first), 0) from log_runs where first <= $1) and first < $2
     order by first limit $3`,
    [begin, end, EVIDENCE_BATCHES],
  );
  const indexes = rows.map(({ first, leaves }) => Number(first) + leaves - 1);
  const proofs = await inclusionProofs(query, indexes, treeSize);
  return rows.map(({ first, entries }, i) => ({
    first: Number(first),
    index: indexes[i]!,
    leaf: decodeEntries(entries).at(-1)!,
    proof: proofs[i]!,
  }));
}

/** The indexes that a batch's receipt says are a pseudonym's. */
export function ownedIn({ first, leaf }: Pick<BatchReceipt, 'first' | 'leaf'>, pseudonym: string): number[] {
  const { tenants = {} } = JSON.parse(leaf.toString('utf8')) as { tenants?: Record<string, string> };
  return (tenants[pseudonym] ?? '')
    .split(',')
    .filter((range) => range !== '')
    .flatMap((range) => {
      const [low = 0, high = low] = range.split('-').map(Number);
      return Array.from({ length: high - low + 1 }, (_, i) => first + low + i);
    });
}

/** Evidence for the entries that an answer speaks of. `query` reads as the tenant. */
export async function gatherEvidence(
  query: Query,
  answer: {
    begin: number;
    end: number;
    pseudonym: string;
    receipts: readonly BatchReceipt[];
    shown: readonly number[];
  },
): Promise<Evidence> {
  const { begin, end, pseudonym, receipts } = answer;
  const owned = receipts
    .flatMap((receipt) => ownedIn(receipt, pseudonym))
    .filter((index) => index >= begin && index < end);
  const shown = new Set(answer.shown);
  const left = owned.filter((index) => !shown.has(index));
  const rows = await query<{ index: string }>(
    'select index from log_events where index = any($1::bigint[]) and subject is not null',
    [left],
  );
  const readable = new Set(rows.map(({ index }) => Number(index)));
  return {
    begin,
    end,
    pseudonym,
    receipts: receipts.map(({ index, leaf, proof }) => ({
      index,
      leaf: leaf.toString('base64'),
      proof: proof.map((hash) => hash.toString('base64')),
    })),
    unmatched: left.filter((index) => readable.has(index)),
    erased: left.filter((index) => !readable.has(index)),
  };
}
