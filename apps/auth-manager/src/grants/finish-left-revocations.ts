import { recordEffect, type RecordEffect } from '../record-effect.ts';
import { finishRevocation, type RevokeGrant } from './revoke-grant.ts';
import { tellProviders, type TellProviders, untoldGrants } from './untold-grants.ts';

export type FinishLeftRevocations = RevokeGrant & RecordEffect & TellProviders;

const LEFT_AFTER_SECONDS = 30;

/** One round over grants that were closed but whose revocation at the provider did not succeed (R23). */
export async function finishLeftRevocations(deps: FinishLeftRevocations): Promise<void> {
  const before = new Date(deps.now().getTime() - LEFT_AFTER_SECONDS * 1000);
  const left = await untoldGrants(deps.db, (row) =>
    row.and([row('state', '=', 'revoking'), row('updated_at', '<', before)]),
  );
  await tellProviders(deps, left, ({ id, tenant, provider }) => {
    const draft = {
      action: 'grant.revoked' as const,
      tenant,
      actor: { workload: 'auth-manager' },
      resource: { type: 'grant', id },
      details: { cause: 'left_open', provider },
    };
    return recordEffect(deps, draft, async () => {
      await finishRevocation(deps, id);
      return { result: undefined, details: {} };
    });
  });
}
