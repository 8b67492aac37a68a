import { newEvent } from '@postern/audit';
import { type Audit } from '@postern/outbox';
import { type Now } from '@postern/runtime';
import { type Kysely } from 'kysely';
import { type Schema } from '../db/schema.ts';

export type RemindOwners = { db: Kysely<Schema>; audit: Pick<Audit, 'within'>; service: string; now: Now };

/** So long before a secret expires or its rotation is due its owner is told. */
const AHEAD_MS = 7 * 86_400_000;
const PER_ROUND = 200;

/**
 * Tells once of each secret that expires or is to be rotated within a week: an event `rotation.due` of its owner, which
 * audit-sink's webhooks carry to whom the tenant wants. A new date is told of again.
 */
export const remindOwners =
  ({ db, audit, service, now }: RemindOwners) =>
  (): Promise<void> =>
    db.transaction().execute(async (tx) => {
      const at = now();
      const rows = await tx
        .selectFrom('secrets')
        .select(['id', 'tenant', 'provider', 'owner_issuer', 'owner_sub', 'expires_at', 'rotate_at'])
        .where((row) => row(row.fn<Date>('least', ['expires_at', 'rotate_at']), '<', new Date(at.getTime() + AHEAD_MS)))
        .where('state', '=', 'live')
        .where('reminded_at', 'is', null)
        .limit(PER_ROUND)
        .forUpdate()
        .skipLocked()
        .execute();
      for (const row of rows) {
        const due = [row.expires_at, row.rotate_at].filter((date) => date !== null).sort((a, b) => +a - +b)[0];
        await audit.within(
          tx,
          newEvent(
            {
              action: 'rotation.due',
              tenant: row.tenant,
              actor: { workload: service, person: { issuer: row.owner_issuer, sub: row.owner_sub } },
              resource: { type: 'secret', id: row.id },
              outcome: 'success',
              details: { provider: row.provider, ...(due ? { due: due.toISOString() } : {}) },
            },
            at,
          ),
        );
      }
      if (rows.length === 0) return;
      await tx
        .updateTable('secrets')
        .set({ reminded_at: at })
        .where(
          'id',
          'in',
          rows.map(({ id }) => id),
        )
        .execute();
    });
