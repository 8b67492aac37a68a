import { newEvent } from '@postern/audit';
import type { GrantRow } from '../grants/grant.ts';
import { type EffectDraft, recordEffect, type RecordEffect } from '../record-effect.ts';
import type { RecordRefresh } from './settle-and-refresh.ts';

/** By this service itself, on behalf of whoever uses the grant. */
const draftOf = ({ id, tenant, provider, generation }: GrantRow): EffectDraft => ({
  action: 'grant.refreshed',
  tenant,
  actor: { workload: 'auth-manager' },
  resource: { type: 'grant', id, version: Number(generation) },
  details: { provider },
});

/** R23 around a refresh. */
export const recordRefresh =
  (deps: RecordEffect): RecordRefresh =>
  (grant, act) =>
    recordEffect(deps, draftOf(grant), async () => {
      const result = await act();
      return { result, details: { attempt: result.attempt, rotated: result.rotated } };
    });

/** R20: a reply that never came cost the grant. */
export const recordLoss =
  ({ audit, now }: RecordEffect) =>
  async (grant: GrantRow): Promise<void> => {
    const reason = 'reauthorization_required';
    await audit.commit(newEvent({ ...draftOf(grant), outcome: 'failed', reason }, now()));
  };
