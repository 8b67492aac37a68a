import type { Transaction } from 'kysely';
import { uuidv7, problem } from '@postern/runtime';
import type { Schema } from '../db/schema.ts';
import { type Owner, ownedBy } from '../grants/grant.ts';
import { CONSENT_SECONDS } from './consent.ts';
import { mayReturnTo, type ReturnPages } from './return-to.ts';

export type ConsentRequest = {
  scopes: readonly string[];
  handle: { workload: string; audiences: readonly string[]; scopes: readonly string[] };
  returnTo?: string | undefined;
};

export type ConsentStarter = { owner: Owner; client: string };

/**
 * Checks what a person's application asks for, before anything is written.
 * @throws Problem `other_provider` when the person is known to another issuer than our provider, so that R18 could never
 *   hold; `handle_exceeds_consent`; `return_not_listed`.
 */
export function assertConsentRequest(
  rules: { provider: string; returnPages: ReturnPages },
  { owner, client }: ConsentStarter,
  { scopes, handle, returnTo }: ConsentRequest,
): void {
  if (owner.issuer !== rules.provider) throw problem('other_provider');
  if (handle.scopes.some((scope) => !scopes.includes(scope))) throw problem('handle_exceeds_consent');
  if (returnTo !== undefined && !mayReturnTo(rules.returnPages, client, returnTo)) throw problem('return_not_listed');
}

/** Writes a pending consent. Its id is in the link: 74 random bits, and worth nothing to another person (R18). */
export async function createConsent(
  tx: Transaction<Schema>,
  { owner, client }: ConsentStarter,
  { scopes, handle, returnTo }: ConsentRequest,
  { provider, now }: { provider: string; now: Date },
): Promise<{ id: string; expiresAt: Date }> {
  const id = uuidv7();
  const expiresAt = new Date(now.getTime() + CONSENT_SECONDS * 1000);
  await tx
    .insertInto('consents')
    .values({
      id,
      ...ownedBy(owner),
      started_by: client,
      provider,
      scopes: [...scopes],
      handle_workload: handle.workload,
      handle_audiences: [...handle.audiences],
      handle_scopes: [...handle.scopes],
      return_to: returnTo ?? null,
      created_at: now,
      expires_at: expiresAt,
    })
    .execute();
  return { id, expiresAt };
}
