import { newEvent } from '@postern/audit';
import type { JobEnd } from '@postern/bus';
import { systemNow, type Now } from '@postern/runtime';
import type { Transaction } from 'kysely';
import type { Audit } from './open-audit.ts';

/** Records how a background job ended, in the transaction in which it does: for `ended` of `runJobs`. The actor is the service. */
export const recordJobEnd =
  ({ audit, service, now = systemNow }: { audit: Pick<Audit, 'within'>; service: string; now?: Now }) =>
  <Schema>(tx: Transaction<Schema>, { id, kind, tenant, state }: JobEnd): Promise<void> => {
    const draft = {
      action: 'job.ended',
      tenant,
      actor: { workload: service },
      resource: { type: 'job', id },
      outcome: state === 'failed' ? 'failed' : 'success',
      details: { kind, state },
    } as const;
    return audit.within(tx, newEvent(draft, now()));
  };
