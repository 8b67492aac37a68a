import { RootKeyRefused } from './errors.ts';
import { reaching } from './reaching.ts';
import { type BranchKeyRecord, wrapContext } from './record.ts';
import { type RecordedTransaction, type RecordKeyChange } from './recorded-transaction.ts';
import { type RootKey } from './root-key.ts';
import { selectRecords, updateWrapping, type Query } from './table.ts';

export type MoveRootKey = { query: Query; transaction: RecordedTransaction; rootKey: RootKey };

/** Branch keys that were moved, and those that are not: refused by a root key, or changed while they were read. */
export type Moved = { moved: number; left: number };

const PAGE = 50;

/**
 * Moves every branch key that another root key wraps to the active one. A branch key's records change together, with what
 * is recorded of it, or not at all. Readers are not disturbed: each row says which root key wraps it. Cut anywhere, the
 * next call goes on with what is left; two at once do no harm, because a record changes only from exactly what was read.
 * One that a root key refuses (a row that was tampered with) stays as it is and holds up no other.
 * @throws KeysUnavailable when a root key or Postgres gives no answer; what was moved stays moved.
 */
export async function moveRootKey({ query, transaction, rootKey }: MoveRootKey): Promise<Moved> {
  const result: Moved = { moved: 0, left: 0 };
  for (let page = await nextPage(''); page.length > 0; page = await nextPage(page.at(-1) ?? '')) {
    for (const branchKeyId of page) {
      if (await moveOne(branchKeyId)) result.moved += 1;
      else result.left += 1;
    }
  }
  return result;

  async function nextPage(after: string): Promise<string[]> {
    const rows = await reaching(
      query<{ id: string }>(
        `select distinct branch_key_id as id from branch_keys
          where kms_arn <> $1 and branch_key_id > $2 order by branch_key_id limit ${PAGE}`,
        [rootKey.arn, after],
      ),
    );
    return rows.map(({ id }) => id);
  }

  async function moveOne(branchKeyId: string): Promise<boolean> {
    const records = await reaching(selectRecords(query, branchKeyId));
    const held = records.filter(({ kmsArn }) => kmsArn !== rootKey.arn);
    try {
      const moved = await Promise.all(held.map((record) => reaching(rewrap(rootKey, record))));
      await transaction((within, record) => replaceAll(within, record, held, moved));
      return true;
    } catch (error) {
      if (error instanceof RootKeyRefused || error instanceof ChangedMeanwhile) return false;
      throw error;
    }
  }
}

async function rewrap(rootKey: RootKey, record: BranchKeyRecord): Promise<BranchKeyRecord> {
  const moved = { ...record, kmsArn: rootKey.arn };
  const enc = await rootKey.rewrap(
    record.enc,
    { arn: record.kmsArn, context: wrapContext(record) },
    { arn: moved.kmsArn, context: wrapContext(moved) },
  );
  return { ...moved, enc };
}

/** A rotation, or another replica's move, came between reading and writing: the next call sees it. */
class ChangedMeanwhile extends Error {}

async function replaceAll(
  within: Query,
  record: RecordKeyChange,
  held: readonly BranchKeyRecord[],
  moved: readonly BranchKeyRecord[],
): Promise<void> {
  for (const [at, was] of held.entries()) {
    const next = moved[at];
    if (next === undefined || !(await updateWrapping(within, was, next))) throw new ChangedMeanwhile();
  }
  const [first] = held;
  const [next] = moved;
  if (first === undefined || next === undefined) return;
  const { tenant, purpose } = first.owner;
  const details = { purpose, keyId: first.branchKeyId, from: first.kmsArn, to: next.kmsArn };
  await record({ action: 'key.moved', tenant, details });
}
