import type { Idempotency } from '@postern/http';
import type { Transaction } from 'kysely';
import { problem, uuidv7 } from '@postern/runtime';
import type { Schema } from '../db/schema.ts';
import { type Owner, ownedBy } from '../grants/grant.ts';
import { CONSENT_SECONDS } from './consent.ts';
import { mayReturnTo, type ReturnPages } from './return-to.ts';

export type ConsentRequest = {
  scopes: readonly string[];
  handle: { workload: string; audiences: readonly string[]; scopes: readonly string[] };
  returnTo?: string | undefined;
  /** What the person is told it is for: plain text. */
  purpose?: string | undefined;
};

export type ConsentStarter = { owner: Owner; client: string };

/**
 * Checks what a person's application asks for, before anything is written.
 * @throws Problem `handle_workload_unknown`; `handle_exceeds_consent`; `return_not_listed`.
 */
export function assertConsentRequest(
  rules: { returnPages: ReturnPages; workloads: ReadonlySet<string> },
  { client }: Pick<ConsentStarter, 'client'>,
  { scopes, handle, returnTo }: ConsentRequest,
): void {
  if (!rules.workloads.has(handle.workload)) throw problem('handle_workload_unknown');
  if (handle.scopes.some((scope) => !scopes.includes(scope))) throw problem('handle_exceeds_consent');
  if (returnTo !== undefined && !mayReturnTo(rules.returnPages, client, returnTo)) throw problem('return_not_listed');
}

export type CreatedConsent = { id: string; expiresAt: Date };

/**
 * Writes a pending consent. Its id is in the link: 62 random bits, and worth nothing to another person (R18). A request
 * that comes again under its Idempotency-Key gets the consent it made the first time.
 * @throws Problem `idempotency_key_reused` when the key came with another request.
 */
export async function createConsent(
  tx: Transaction<Schema>,
  { owner, client }: ConsentStarter,
  { scopes, handle, returnTo, purpose }: ConsentRequest,
  {
    provider,
    idempotency,
    mostGrants,
    now,
  }: { provider: string; idempotency: Idempotency | null; mostGrants?: number | undefined; now: Date },
): Promise<CreatedConsent> {
  const id = uuidv7();
  const expiresAt = new Date(now.getTime() + CONSENT_SECONDS * 1000);
  const written = await tx
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
      purpose: purpose ?? null,
      most_grants: mostGrants ?? null,
      created_at: now,
      expires_at: expiresAt,
      idempotency_key: idempotency?.key ?? null,
      idempotency_request: idempotency?.request ?? null,
    })
    .onConflict((conflict) => conflict.column('idempotency_key').doNothing())
    .returning('id')
    .executeTakeFirst();
  return written ? { id, expiresAt } : createdBefore(tx, idempotency);
}

async function createdBefore(tx: Transaction<Schema>, idempotency: Idempotency | null): Promise<CreatedConsent> {
  const before = await tx
    .selectFrom('consents')
    .select(['id', 'expires_at', 'idempotency_request'])
    .where('idempotency_key', '=', idempotency?.key ?? '')
    .executeTakeFirstOrThrow();
  if (before.idempotency_request !== idempotency?.request) throw problem('idempotency_key_reused');
  return { id: before.id, expiresAt: before.expires_at };
}
