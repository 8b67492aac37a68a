import { type Kysely } from 'kysely';
import { type Schema } from '../db/schema.ts';

/** Forgets sessions that can be refreshed no more, with the refresh tokens that they used, and invitations that ended. */
export async function forgetSessions(db: Kysely<Schema>, now: Date): Promise<void> {
  await db.deleteFrom('sessions').where('idle_at', '<', now).execute();
  await db.deleteFrom('invitations').where('expires_at', '<', now).execute();
}
