import { type Logger, Problem } from '@postern/runtime';
import type { RevokeGrant } from '../grants/revoke-grant.ts';
import { openText } from '../grants/vault.ts';
import { recordEffect, type RecordEffect } from '../record-effect.ts';

export type DiscardEnded = Omit<RevokeGrant, 'sequence'> & RecordEffect & { logger: Logger };

const AT_ONCE = 20;

/**
 * Revokes at the provider the token of a grant that ended here with its session, and forgets it. Under the grant's lock,
 * as every call with its token. Done twice it does nothing.
 * @throws Problem `provider_unavailable`; the grant is closed all the same.
 */
async function discard(
  { lock, vault, providerOf, now }: DiscardEnded,
  { id, provider }: { id: string; provider: string },
): Promise<void> {
  await lock({ id, provider }, async (locked) => {
    const grant = await locked
      .selectFrom('grants')
      .selectAll()
      .where('id', '=', id)
      .where('state', '=', 'ended')
      .where('sealed_token', 'is not', null)
      .executeTakeFirst();
    if (!grant?.sealed_token) return;
    await providerOf(grant).revoke(
      await openText(vault, { tenant: grant.tenant, what: 'token', id }, grant.sealed_token),
    );
    await locked
      .updateTable('grants')
      .set({ sealed_token: null, token_fingerprint: null, updated_at: now() })
      .where('id', '=', id)
      .where('state', '=', 'ended')
      .execute();
  });
}

/** One round over the grants that ended here and not yet at their provider, of these ids where some are named (R23). */
export async function discardEnded(deps: DiscardEnded, only?: readonly string[]): Promise<void> {
  if (only?.length === 0) return;
  const left = await deps.db
    .selectFrom('grants')
    .select(['id', 'tenant', 'provider'])
    .where('state', '=', 'ended')
    .where('sealed_token', 'is not', null)
    .$if(only !== undefined, (query) => query.where('id', 'in', only ?? []))
    .orderBy('updated_at')
    .limit(AT_ONCE)
    .execute();
  for (const { id, tenant, provider } of left) {
    const draft = {
      action: 'grant.revoked' as const,
      tenant,
      actor: { workload: 'auth-manager' },
      resource: { type: 'grant', id },
      details: { cause: 'session_ended', provider },
    };
    try {
      await recordEffect(deps, draft, async () => {
        await discard(deps, { id, provider });
        return { result: undefined, details: {} };
      });
    } catch (err) {
      const code = err instanceof Problem ? err.code : undefined;
      deps.logger.warn({ err, code, id }, 'a grant has ended and is not yet revoked at the provider');
    }
  }
}
