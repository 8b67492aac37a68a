import { newEvent } from '@postern/audit';
import { emitSignal, startSignals, type Bus, type SignalHandlers } from '@postern/bus';
import { type TlsMaterial, type WorkloadTable } from '@postern/mtls';
import { queryIn } from '@postern/postgres';
import { startRounds, type Logger, type Registry } from '@postern/runtime';
import { type Transaction } from 'kysely';
import { denyEnded } from './ended-tenants.ts';
import { acknowledgementAgain, removeEnded, type RemoveEnded } from './remove-ended.ts';
import { COORDINATOR, DESTROYED, DESTROYING, type Acknowledgement } from './services.ts';

export type FollowDestructions<Schema> = Omit<RemoveEnded<Schema>, 'acknowledge'> & {
  bus: Pick<Bus, 'queue' | 'worker'>;
  tls: Pick<TlsMaterial, 'current'>;
  workloads: WorkloadTable;
  /** Between denying a tenant and removing it: the longest time that a replica serves from memory what it knew. */
  waitMs: number;
  /** What else denies the tenant in this database, in the transaction that denies it: states that its own guards read. */
  deny?: (tx: Transaction<Schema>, tenant: string) => Promise<void>;
  logger: Logger;
  metrics?: Registry;
};

const EVERY_SECONDS = 5;

/**
 * The worker's half of a tenant's destruction in every service but crypto-store (R33): the signal `tenant.destroying` denies
 * the tenant here; when no memory can hold anything of it any more, what is stored of it is removed, and `tenant.destroyed`
 * says so. Signals come until they are taken (`@postern/bus`), so neither a lost Redis nor a dead process ends one halfway.
 */
export function followDestructions<Schema>(deps: FollowDestructions<Schema>): { close(): Promise<void> } {
  const { db, bus, service, tls, workloads, logger, metrics, now } = deps;
  const acknowledge = async (tx: Transaction<Schema>, body: Acknowledgement) =>
    void (await emitSignal(queryIn(tx), { to: COORDINATOR, type: DESTROYED, version: 1, body }));

  const handlers: SignalHandlers<Schema> = {
    [DESTROYING]: async (tx, { body }) => {
      const { destruction, tenant } = body as { destruction: string; tenant: string };
      const query = queryIn(tx);
      const at = now();
      const removeAfter = new Date(at.getTime() + deps.waitMs);
      if (!(await denyEnded(query, { tenant, destruction, now: at, removeAfter }))) {
        const done = await acknowledgementAgain(query, { tenant, list: deps.list });
        return done === null ? undefined : acknowledge(tx, done);
      }
      await deps.deny?.(tx, tenant);
      const draft = { action: 'tenant.denied' as const, outcome: 'success' as const, tenant, details: { destruction } };
      await deps.audit.within(tx, newEvent({ ...draft, actor: { workload: service } }, at));
    },
  };
  const signals = startSignals({
    db,
    bus,
    service,
    tls,
    workloads,
    peers: [COORDINATOR],
    handlers,
    logger,
    ...(metrics && { metrics }),
    now,
  });
  const removing = startRounds([removeEnded({ ...deps, acknowledge })], { logger, everySeconds: EVERY_SECONDS });
  return {
    async close() {
      await Promise.all([removing.close(), signals.close()]);
    },
  };
}
