import {
  destroyDue,
  destroyTenantAfter,
  type DestroyedList,
  type Query,
  type RecordedTransaction,
} from '@postern/branch-keys';
import { type OwnDeed } from '@postern/outbox';
import { type Now, type Round } from '@postern/runtime';
import { readParts, tellAgain, type ServicePart } from './destruction-services.ts';
import { allAnswered, beginDue, completeDue, denyLate } from './destruction.ts';

type Transaction = <T>(work: (query: Query, record: (deed: OwnDeed) => Promise<void>) => Promise<T>) => Promise<T>;

export type DestructionRounds = {
  query: Query;
  transaction: Transaction;
  list: DestroyedList;
  /** Longest time that a key stays in a replica's memory. */
  cacheTtlMs: number;
  backupDays: number;
  now: Now;
};

const DAY_MS = 86_400_000;

/**
 * Denies, tells the other services, waits for their answers, destroys the keys here and gives the receipt: each a transaction
 * with its event, and each safe to repeat. What this service itself removes is `removeEnded`'s.
 */
export function destructionRounds({
  query,
  transaction,
  list,
  cacheTtlMs,
  backupDays,
  now,
}: DestructionRounds): Round[] {
  return [
    {
      name: 'destroy tenants',
      run: async () => {
        const at = now();
        const deniedUntil = new Date(at.getTime() + cacheTtlMs);
        while (await transaction((within, record) => begin(within, record, { now: at, deniedUntil })));
        await transaction((within) => denyLate(within, { now: at, deniedUntil }));
        await transaction((within) => tellAgain(within, at));
        for (const { tenant } of await allAnswered(query, at)) await destroyTenantAfter(query, { tenant, after: at });
        await destroyDue({ query, transaction: transaction satisfies RecordedTransaction, list }, at);
      },
    },
    {
      // By itself: a key that cannot be destroyed keeps the receipts of others waiting no more than the others.
      name: 'complete destructions',
      run: async () => {
        const at = now();
        const completeAfter = new Date(at.getTime() + backupDays * DAY_MS);
        while (await transaction((within, record) => complete(within, record, { now: at, completeAfter })));
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

/** The event is the receipt. */
async function complete(
  query: Query,
  record: (deed: OwnDeed) => Promise<void>,
  at: { now: Date; completeAfter: Date },
) {
  const done = await completeDue(query, at);
  if (done === null) return false;
  const { tenant, keys, destruction } = done;
  const services = (await readParts(query, destruction)).map(lineOf);
  const details = { keys, services, completeAfter: at.completeAfter.toISOString() };
  const resource = { type: 'destruction', id: destruction };
  await record({ action: 'destruction.completed', tenant, resource, details });
  return true;
}

function lineOf({ service, deniedAt, destroyedAt, removed, keys, listed }: ServicePart): string {
  const rows = Object.values(removed ?? {}).reduce((sum, some) => sum + some, 0);
  const [denied, destroyed] = [deniedAt, destroyedAt].map((at) => at?.toISOString() ?? 'never');
  return `${service}: denied ${denied}, ${rows} rows and ${keys ?? 0} keys destroyed ${destroyed}${listed ? '' : ', not on a list'}`;
}
