import { type Logger, Problem } from '@postern/runtime';
import { recordEffect, type RecordEffect } from '../record-effect.ts';
import { finishRevocation, type RevokeGrant } from './revoke-grant.ts';

export type FinishLeftRevocations = RevokeGrant & RecordEffect & { logger: Logger };

const LEFT_AFTER_SECONDS = 30;
const AT_ONCE = 20;

/** One round over grants that were closed but whose revocation at the provider did not succeed (R23). */
export async function finishLeftRevocations(deps: FinishLeftRevocations): Promise<void> {
  const left = await deps.db
    .selectFrom('grants')
    .select(['id', 'tenant', 'provider'])
    .where('state', '=', 'revoking')
    .where('updated_at', '<', new Date(deps.now().getTime() - LEFT_AFTER_SECONDS * 1000))
    .orderBy('updated_at')
    .limit(AT_ONCE)
    .execute();
  for (const { id, tenant, provider } of left) {
    const draft = {
      action: 'grant.revoked' as const,
      tenant,
      actor: { workload: 'auth-manager' },
      resource: { type: 'grant', id },
      details: { cause: 'left_open', provider },
    };
    try {
      await recordEffect(deps, draft, async () => {
        await finishRevocation(deps, id);
        return { result: undefined, details: {} };
      });
    } catch (err) {
      const code = err instanceof Problem ? err.code : undefined;
      deps.logger.warn({ err, code, id }, 'a grant is closed but not yet revoked at the provider');
    }
  }
}
