import { heldTokens } from '../grants/held-tokens.ts';
import type { RevokeGrant } from '../grants/revoke-grant.ts';
import { tellProviders, type TellProviders, type UntoldGrant, untoldGrants } from '../grants/untold-grants.ts';
import { recordEffect, type RecordEffect } from '../record-effect.ts';
import { openAttempt } from '../refresh/open-attempt.ts';
import { abandonAttempt } from '../refresh/settle-attempt.ts';

export type DiscardEnded = Omit<RevokeGrant, 'sequence'> & RecordEffect & TellProviders;

/**
 * One round over the grants that ended here and not yet at their provider, of these ids where some are named (R23). A provider
 * that gives no answer is told by a later one.
 */
export async function discardEnded(deps: DiscardEnded, only?: readonly string[]): Promise<void> {
  if (only?.length === 0) return;
  const left = await untoldGrants(deps.db, (row) =>
    row.and([
      row('state', '=', 'ended'),
      row('sealed_token', 'is not', null),
      ...(only === undefined ? [] : [row('id', 'in', only)]),
    ]),
  );
  await tellProviders(deps, left, (grant) => {
    const { id, tenant, provider } = grant;
    const draft = {
      action: 'grant.revoked' as const,
      tenant,
      actor: { workload: 'auth-manager' },
      resource: { type: 'grant', id },
      details: { cause: 'session_ended', provider },
    };
    return recordEffect(deps, draft, async () => {
      await discard(deps, grant);
      return { result: undefined, details: {} };
    });
  });
}

/**
 * Revokes at the provider the tokens of a grant that ended here with its session, and forgets them. Under the grant's lock,
 * as every call with its token. Done twice it does nothing.
 * @throws Problem `provider_unavailable`; the grant is closed all the same.
 */
async function discard(deps: DiscardEnded, { id, provider }: UntoldGrant): Promise<void> {
  await deps.lock({ id, provider }, async (locked) => {
    const grant = await locked
      .selectFrom('grants')
      .selectAll()
      .where('id', '=', id)
      .where('state', '=', 'ended')
      .where('sealed_token', 'is not', null)
      .executeTakeFirst();
    if (!grant) return;
    for (const token of await heldTokens(deps, locked, grant)) await deps.providerOf(grant).revoke(token);
    const attempt = await openAttempt(locked, id);
    if (attempt) await abandonAttempt(locked, attempt.id, deps.now());
    await locked
      .updateTable('grants')
      .set({ sealed_token: null, token_fingerprint: null, updated_at: deps.now() })
      .where('id', '=', id)
      .where('state', '=', 'ended')
      .execute();
  });
}
