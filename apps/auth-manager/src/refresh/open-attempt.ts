import type { Selectable } from 'kysely';
import type { RefreshAttemptsTable } from '../db/schema.ts';
import type { LockedConnection } from './grant-lock.ts';
import type { OpenAttempt } from './next-step.ts';

export type OpenAttemptRow = Selectable<RefreshAttemptsTable> & OpenAttempt;

/** The attempt of a grant that is not settled; a unique index allows one. */
export async function openAttempt(db: LockedConnection, grantId: string): Promise<OpenAttemptRow | undefined> {
  const row = await db
    .selectFrom('refresh_attempts')
    .selectAll()
    .where('grant_id', '=', grantId)
    .where('state', 'in', ['intended', 'replied'])
    .executeTakeFirst();
  return row as OpenAttemptRow | undefined;
}
