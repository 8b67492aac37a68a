import { uuidv7 } from '@postern/runtime';
import type { GrantRow } from '../grants/grant.ts';
import type { LockedConnection } from './grant-lock.ts';

/** How long after its intent a refresh may still be written to the socket. */
export const SEND_WITHIN_SECONDS = 10;

export type Intent = { attempt: string; deadline: Date };

/**
 * R20, state `intended`: committed before anything is sent. It holds the fence (the generation), which token was sent
 * (by fingerprint), and the deadline after which nothing may be written any more.
 */
export async function commitIntent(db: LockedConnection, grant: GrantRow, now: Date): Promise<Intent> {
  if (!grant.token_fingerprint) throw new Error('an active grant without a token');
  const attempt = uuidv7();
  const deadline = new Date(now.getTime() + SEND_WITHIN_SECONDS * 1000);
  await db
    .insertInto('refresh_attempts')
    .values({
      id: attempt,
      grant_id: grant.id,
      generation: grant.generation,
      token_fingerprint: grant.token_fingerprint,
      deadline,
      created_at: now,
    })
    .execute();
  return { attempt, deadline };
}
