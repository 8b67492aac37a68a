import { newEvent, type EventDraft } from '@postern/audit';
import { queryIn, type Query } from '@postern/postgres';
import { systemNow, type Now } from '@postern/runtime';
import type { Kysely, Transaction } from 'kysely';
import type { Audit } from './open-audit.ts';

/** What a service did by itself; who, when and with which outcome is added. */
export type OwnDeed = Pick<EventDraft, 'action' | 'tenant' | 'details' | 'resource'>;

/**
 * Transactions of a service's own rounds (a rotation on schedule, a rewrap), in which what it records of them stands or
 * falls with what it changes. The actor is the service itself.
 */
export function recordedTransactions<Schema>({
  db,
  audit,
  producer,
  now = systemNow,
}: {
  db: Kysely<Schema>;
  audit: Pick<Audit, 'within'>;
  producer: string;
  now?: Now;
}) {
  return <T>(
    work: (query: Query, record: (deed: OwnDeed) => Promise<void>, tx: Transaction<Schema>) => Promise<T>,
  ): Promise<T> =>
    db.transaction().execute((tx) => {
      const record = (deed: OwnDeed) =>
        audit.within(tx, newEvent({ ...deed, outcome: 'success', actor: { workload: producer } }, now()));
      return work(queryIn(tx), record, tx);
    });
}
