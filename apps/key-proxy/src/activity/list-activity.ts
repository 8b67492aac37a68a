import { type Kysely } from 'kysely';
import { type Schema, type Status } from '../db/schema.ts';

export type ActivityLine = {
  id: string;
  /** The account's address, or the person's id at their issuer where they have no account here. */
  customer: string;
  action: string;
  secretName: string | null;
  status: Status;
  at: Date;
};

/** A page of a tenant's activity, newest first; `before` is the last id of the page before. */
export async function listActivity(
  db: Kysely<Schema>,
  { tenant, before, limit }: { tenant: string; before?: string | undefined; limit: number },
): Promise<ActivityLine[]> {
  const rows = await db
    .selectFrom('activity')
    .leftJoin('accounts', (join) =>
      join
        .onRef('accounts.tenant', '=', 'activity.tenant')
        .on((on) => on.eb(on.cast('accounts.id', 'text'), '=', on.ref('activity.person_sub'))),
    )
    .select([
      'activity.id',
      'activity.person_sub',
      'accounts.email',
      'activity.action',
      'activity.secret_name',
      'activity.status',
      'activity.at',
    ])
    .where('activity.tenant', '=', tenant)
    .$if(before !== undefined, (query) => query.where('activity.id', '<', before ?? ''))
    .orderBy('activity.id', 'desc')
    .limit(limit)
    .execute();
  return rows.map(({ id, person_sub, email, action, secret_name, status, at }) => ({
    id,
    customer: email ?? person_sub,
    action,
    secretName: secret_name,
    status,
    at,
  }));
}
