import { EnvelopeRefused } from '@postern/envelope';
import { type Sealer } from '@postern/branch-keys';
import { queryIn } from '@postern/postgres';
import { type Kysely } from 'kysely';
import { type Schema } from '../db/schema.ts';
import { reaching } from './reaching.ts';
import { addressOf, keyContextOf, prefixOf } from './record-context.ts';
import { keptPrefixOf } from './record-prefixes.ts';

export type ListRecords = { db: Kysely<Schema>; sealerOf: (tenant: string) => Sealer };

export type ListedRecord = {
  key: string;
  id: string;
  version: number;
  live: boolean;
  createdAt: Date;
  updatedAt: Date;
};

export type ListedPage = {
  /** Sorted by key within the page. */
  records: ListedRecord[];
  /** Records whose key does not open: damaged, or put there by somebody else. */
  unreadable: number;
  /** Where the next page begins; null after the last. */
  next: string | null;
  /** Branch key versions under which keys were opened: release the page only while each of them may open (R33). */
  keyVersions: string[];
};

export type ListOptions = { prefix: string; after: string | null; limit: number; deleted: boolean; again: boolean };

type Row = {
  id: string;
  address: Buffer;
  sealed_key: Buffer;
  key_version: string;
  version: string;
  live: boolean;
  created_at: Date;
  updated_at: Date;
};

/** Rows that one page opens at most: a rare prefix may take several pages, of which some are empty. */
const MOST_OPENED = 1_000;

/**
 * A page of the records of a namespace whose keys begin with `prefix`. Keys are sealed, so the order of pages is that of the
 * random ids; what is written during a walk may or may not be seen, everything else is seen once. `again`: a guard refused what
 * was opened before, so the states of the branch key are read anew.
 * @throws Problem `keys_unavailable`
 */
export async function listRecords(
  { db, sealerOf }: ListRecords,
  { tenant, namespace }: { tenant: string; namespace: string },
  { prefix, after, limit, deleted, again }: ListOptions,
): Promise<ListedPage> {
  const sealer = sealerOf(tenant);
  if (again) await reaching(sealer.recheck());
  const kept = keptPrefixOf(prefix);
  const keptMac = kept === null ? null : await reaching(prefixOf(sealer, namespace, kept));
  const records: ListedRecord[] = [];
  const keyVersions = new Set<string>();
  let unreadable = 0;
  let last = after;
  const page = (next: string | null): ListedPage => ({
    records: sorted(records),
    unreadable,
    next,
    keyVersions: [...keyVersions],
  });
  for (let opened = 0; opened < MOST_OPENED;) {
    const rows = await queryIn(db)<Row>(
      `select r.id, r.address, r.sealed_key, r.key_version, r.version, r.live_until > now() as live, r.created_at, r.updated_at
         from records r ${keptMac === null ? '' : 'join record_prefixes p on p.record_id = r.id and p.tenant = $1 and p.prefix = $6'}
        where r.tenant = $1 and r.namespace = $2 and ($3::uuid is null or r.id > $3) and ($4 or r.live_until > now())
        order by r.id limit $5`,
      [tenant, namespace, last, deleted, limit, ...(keptMac === null ? [] : [keptMac])],
    );
    const keys = await reaching(Promise.all(rows.map((row) => keyOf(sealer, namespace, row))));
    for (const [at, row] of rows.entries()) {
      const key = keys[at] ?? null;
      last = row.id;
      opened += 1;
      if (key === null) unreadable += 1;
      else keyVersions.add(row.key_version);
      if (key?.startsWith(prefix)) records.push(listed(key, row));
      if (records.length === limit) return page(last);
    }
    if (rows.length < limit) return page(null);
  }
  return page(last);
}

/** The key of a row, if it is the row's own: sealed for it, and found at its address in this namespace. */
async function keyOf(sealer: Sealer, namespace: string, { id, address, sealed_key }: Row): Promise<string | null> {
  try {
    const key = (await sealer.open(sealed_key, keyContextOf({ id, address }))).toString();
    return address.equals(await addressOf(sealer, { namespace, key })) ? key : null;
  } catch (error) {
    if (error instanceof EnvelopeRefused) return null;
    throw error;
  }
}

const listed = (key: string, { id, version, live, created_at, updated_at }: Row): ListedRecord => ({
  key,
  id,
  version: Number(version),
  live,
  createdAt: created_at,
  updatedAt: updated_at,
});

const sorted = (records: ListedRecord[]): ListedRecord[] =>
  records.toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
