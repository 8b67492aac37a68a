import { type Transaction } from 'kysely';
import { type Schema, type Status } from '../db/schema.ts';
import { type Owner } from '../secrets/owner.ts';

export type Activity = { person: Owner; action: string; secretName?: string; status: Status; at: Date };

/** One line of a tenant's activity, in the transaction of what it tells of. */
export async function recordActivity(tx: Transaction<Schema>, ...lines: readonly Activity[]): Promise<void> {
  if (lines.length === 0) return;
  await tx
    .insertInto('activity')
    .values(
      lines.map(({ person, action, secretName, status, at }) => ({
        tenant: person.tenant,
        person_issuer: person.issuer,
        person_sub: person.sub,
        action,
        secret_name: secretName ?? null,
        status,
        at,
      })),
    )
    .execute();
}
