import { destroyDue, type DestroyedList, type Query, type RecordedTransaction } from '@postern/branch-keys';
import { type OwnDeed } from '@postern/outbox';
import { type Now } from '@postern/runtime';
import { beginDue, completeDue } from './destruction.ts';

type Transaction = <T>(work: (query: Query, record: (deed: OwnDeed) => Promise<void>) => Promise<T>) => Promise<T>;

export type DestructionRounds = {
  query: Query;
  transaction: Transaction;
  list: DestroyedList;
  /** Longest time that a key stays in a replica's memory. */
  cacheTtlMs: number;
  backupDays: number;
  service: string;
  now: Now;
};

const DAY_MS = 86_400_000;

/** Denies, waits, destroys and reports: each a transaction with its event, and each safe to repeat. */
export function destructionRounds({
  query,
  transaction,
  list,
  cacheTtlMs,
  backupDays,
  service,
  now,
}: DestructionRounds) {
  return [
    {
      name: 'destroy keys',
      run: async () => {
        const at = now();
        const deniedUntil = new Date(at.getTime() + cacheTtlMs);
        while (await transaction((within, record) => begin(within, record, { now: at, deniedUntil })));
        await destroyDue({ query, transaction: transaction satisfies RecordedTransaction, list }, at);
        const completeAfter = new Date(at.getTime() + backupDays * DAY_MS);
        while (await transaction((within, record) => complete(within, record, { now: at, completeAfter, service })));
      },
    },
  ];
}

async function begin(query: Query, record: (deed: OwnDeed) => Promise<void>, at: { now: Date; deniedUntil: Date }) {
  const begun = await beginDue(query, at);
  if (begun === null) return false;
  const { tenant, keys } = begun;
  await record({ action: 'destruction.begun', tenant, details: { keys } });
  return true;
}

async function complete(
  query: Query,
  record: (deed: OwnDeed) => Promise<void>,
  { now, completeAfter, service }: { now: Date; completeAfter: Date; service: string },
) {
  const done = await completeDue(query, { now, completeAfter });
  if (done === null) return false;
  const { tenant, keys } = done;
  const details = { keys, services: [service], completeAfter: completeAfter.toISOString() };
  await record({ action: 'destruction.completed', tenant, details });
  return true;
}
