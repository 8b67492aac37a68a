import type { Query } from '@postern/postgres';
import type { SealedText } from '../grants/vault.ts';

/** One message under a tenant's key: `id` is what its context names, `row` finds its row again and orders the rows. */
export type SealedRow = { id: string; row: string; sealed: Buffer };

/** A place where this service keeps what it has sealed under a tenant's key of the purpose `grants`. */
export type SealedPlace = {
  what: SealedText['what'];
  /** Messages of the tenant `$1` under another version than `$2`, after the row `$3`, in order. */
  select: string;
  /** Puts `$2` for `$3` where it still stands. */
  replace: string;
};

const PAGE = 50;
const NIL = '00000000-0000-0000-0000-000000000000';
/** Before every row. */
export const FIRST_ROW = '';

/** All of them. A further column of sealed bytes gets its line here; `administration.int.spec` finds one that has none. */
export const SEALED_PLACES: readonly SealedPlace[] = [
  {
    what: 'token',
    select: `select id, id::text as row, sealed_token as sealed from grants
      where tenant = $1 and sealed_key_version(sealed_token) <> $2 and id > coalesce(nullif($3, ''), '${NIL}')::uuid
      order by id`,
    replace: 'update grants set sealed_token = $2 where id = $1::uuid and sealed_token = $3 returning 1',
  },
  {
    what: 'reply',
    select: `select a.id, a.id::text as row, a.sealed_reply as sealed from refresh_attempts a join grants g on g.id = a.grant_id
      where g.tenant = $1 and a.state = 'replied' and sealed_key_version(a.sealed_reply) <> $2
        and a.id > coalesce(nullif($3, ''), '${NIL}')::uuid
      order by a.id`,
    replace: 'update refresh_attempts set sealed_reply = $2 where id = $1::uuid and sealed_reply = $3 returning 1',
  },
  {
    what: 'flow',
    select: `select id, id::text as row, sealed_flow as sealed from consents
      where tenant = $1 and sealed_key_version(sealed_flow) <> $2 and id > coalesce(nullif($3, ''), '${NIL}')::uuid
      order by id`,
    replace: 'update consents set sealed_flow = $2 where id = $1::uuid and sealed_flow = $3 returning 1',
  },
  {
    what: 'access',
    select: `select t.grant_id as id, t.grant_id || ' ' || encode(t.asked, 'hex') as row, t.sealed_token as sealed
      from provider_tokens t join grants g on g.id = t.grant_id
      where g.tenant = $1 and sealed_key_version(t.sealed_token) <> $2
        and t.grant_id || ' ' || encode(t.asked, 'hex') > $3
      order by 2`,
    replace: `update provider_tokens set sealed_token = $2
      where grant_id = split_part($1, ' ', 1)::uuid and asked = decode(split_part($1, ' ', 2), 'hex') and sealed_token = $3
      returning 1`,
  },
  {
    what: 'client-secret',
    select: `select id, id::text as row, sealed_secret as sealed from providers
      where tenant = $1 and sealed_key_version(sealed_secret) <> $2 and id > coalesce(nullif($3, ''), '${NIL}')::uuid
      order by id`,
    replace: 'update providers set sealed_secret = $2 where id = $1::uuid and sealed_secret = $3 returning 1',
  },
];

/** The next messages of a place that stand under an older version, at most {@link PAGE}. */
export const oldMessages = (
  query: Query,
  { select }: SealedPlace,
  at: { tenant: string; active: string; after: string },
): Promise<SealedRow[]> => query<SealedRow>(`${select} limit ${PAGE}`, [at.tenant, at.active, at.after]);

/** How many messages stand under an older version, in all places. */
export async function countOldMessages(query: Query, { tenant, active }: { tenant: string; active: string }) {
  const every = SEALED_PLACES.map(({ select }) => `select count(*) as one from (${select}) as old`).join(' union all ');
  const counted = `select sum(one)::int as count from (${every}) as places`;
  const [found] = await query<{ count: number }>(counted, [tenant, active, FIRST_ROW]);
  return found?.count ?? 0;
}

/** @returns false where the row has had other bytes since: whoever wrote them sealed them. */
export const putInPlace = async (
  query: Query,
  { replace }: SealedPlace,
  { row, sealed: was }: SealedRow,
  sealed: Buffer,
): Promise<boolean> => (await query(replace, [row, sealed, was])).length === 1;
