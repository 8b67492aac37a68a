import type { Secret } from '@postern/runtime';
import type { LockedConnection } from '../refresh/grant-lock.ts';
import { readReply } from '../refresh/journal-reply.ts';
import { openAttempt } from '../refresh/open-attempt.ts';
import type { GrantRow } from './grant.ts';
import { openText, type Vault } from './vault.ts';

/**
 * The refresh tokens of a grant that may live at its provider, under the grant's lock: its own, and before it the one of a reply
 * that was journalled and never applied, which may be the only one that does (R20).
 */
export async function heldTokens(
  { vault }: { vault: Vault },
  locked: LockedConnection,
  { tenant, id, sealed_token: sealed }: GrantRow,
): Promise<Secret[]> {
  const tokens = sealed ? [await openText(vault, { tenant, what: 'token', id }, sealed)] : [];
  const attempt = await openAttempt(locked, id);
  if (!attempt?.sealed_reply) return tokens;
  const { rotated } = readReply(await openText(vault, { tenant, what: 'reply', id: attempt.id }, attempt.sealed_reply));
  return rotated ? [rotated, ...tokens] : tokens;
}
