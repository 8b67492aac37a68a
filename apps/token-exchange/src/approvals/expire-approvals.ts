import { newEvent, type AuditEvent } from '@postern/audit';
import type { Kysely, Transaction } from 'kysely';
import type { Schema } from '../db/schema.ts';

export type ExpireApprovals = {
  db: Kysely<Schema>;
  recordWithin: (tx: Transaction<Schema>, event: AuditEvent) => Promise<void>;
  now: () => Date;
};

const AT_ONCE = 100;
/** In one round; the next one goes on. */
const MOST = 10_000;

/** Ends the requests that nobody decided, or nobody used, in time; each end is an event in its transaction. */
export async function expireApprovals(deps: ExpireApprovals): Promise<void> {
  for (let ended = 0; ended < MOST; ended += AT_ONCE) if ((await expireSome(deps)) < AT_ONCE) return;
}

async function expireSome({ db, recordWithin, now }: ExpireApprovals): Promise<number> {
  const at = now();
  return db.transaction().execute(async (tx) => {
    const ended = await tx
      .selectFrom('approvals')
      .select(['id', 'tenant', 'person_issuer', 'person_sub', 'workload', 'actors'])
      .where('state', 'in', ['pending', 'approved'])
      .where('expires_at', '<=', at)
      .orderBy('id')
      .limit(AT_ONCE)
      .forUpdate()
      .skipLocked()
      .execute();
    for (const row of ended) {
      await tx
        .updateTable('approvals')
        .set({ state: 'expired', approved_scopes: null, person_name: null, ended_at: at })
        .where('id', '=', row.id)
        .execute();
      await recordWithin(tx, expiredEvent(row, at));
    }
    return ended.length;
  });
}

type Ended = Pick<Schema['approvals'], 'id' | 'tenant' | 'person_issuer' | 'person_sub' | 'workload' | 'actors'>;

export const expiredEvent = (row: Ended, now: Date): AuditEvent =>
  newEvent(
    {
      action: 'approval.expired',
      outcome: 'success',
      tenant: row.tenant,
      actor: { person: { issuer: row.person_issuer, sub: row.person_sub }, workload: row.workload, acts: row.actors },
      resource: { type: 'approval', id: row.id },
      details: {},
    },
    now,
  );
