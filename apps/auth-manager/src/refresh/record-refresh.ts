import { recordEffect, type RecordEffect } from '../record-effect.ts';
import type { RecordRefresh } from './confirm-grant.ts';

/** R23 around a refresh: by this service itself, on behalf of whoever uses the grant. */
export const recordRefresh =
  (deps: RecordEffect): RecordRefresh =>
  (grant, act) =>
    recordEffect(
      deps,
      {
        action: 'grant.refreshed',
        tenant: grant.tenant,
        actor: { workload: 'auth-manager' },
        resource: { type: 'grant', id: grant.id, version: Number(grant.generation) },
        details: { provider: grant.provider },
      },
      async () => {
        const result = await act();
        return { result, details: { attempt: result.attempt, rotated: result.rotated } };
      },
    );
