import { newEvent } from '@postern/audit';
import { type JobEnd } from '@postern/bus';
import { type Audit } from '@postern/outbox';
import { type Now } from '@postern/runtime';
import { type Transaction } from 'kysely';
import { type Schema } from '../db/schema.ts';

/** The end of a job, in the transaction in which it ends. */
export const jobEnded =
  ({ audit, service, now }: { audit: Pick<Audit, 'within'>; service: string; now: Now }) =>
  (tx: Transaction<Schema>, { id, kind, tenant, state }: JobEnd): Promise<void> =>
    audit.within(
      tx,
      newEvent(
        {
          action: 'job.ended',
          tenant,
          actor: { workload: service },
          resource: { type: 'job', id },
          outcome: state === 'failed' ? 'failed' : 'success',
          details: { kind, state },
        },
        now(),
      ),
    );
