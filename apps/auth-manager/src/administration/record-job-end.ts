import { newEvent } from '@postern/audit';
import type { JobEnd } from '@postern/bus';
import type { Audit } from '@postern/outbox';
import type { Now } from '@postern/runtime';
import type { Transaction } from 'kysely';
import type { Schema } from '../db/schema.ts';

/** How a background job ended, in the transaction in which it does. */
export const recordJobEnd =
  ({ audit, now }: { audit: Pick<Audit, 'within'>; now: Now }) =>
  async (tx: Transaction<Schema>, { id, kind, tenant, state }: JobEnd): Promise<void> => {
    const draft = {
      action: 'job.ended' as const,
      outcome: 'success' as const,
      tenant,
      actor: { workload: 'auth-manager' },
      resource: { type: 'job', id },
      details: { kind, state },
    };
    await audit.within(tx, newEvent(draft, now()));
  };
