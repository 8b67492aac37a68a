import { type DestroyedList } from '@postern/branch-keys';
import { DESTROYED, PARTICIPANTS, removeEnded, type Acknowledgement } from '@postern/branch-keys/destruction';
import { startSignals, type Bus, type SignalHandlers } from '@postern/bus';
import { type TlsMaterial, type WorkloadTable } from '@postern/mtls';
import { type Audit } from '@postern/outbox';
import { queryIn } from '@postern/postgres';
import { startRounds, type Logger, type Registry } from '@postern/runtime';
import { type Kysely } from 'kysely';
import { type Schema } from '../db/schema.ts';
import { removeRecords } from '../tenants/end-tenant.ts';
import { noteAnswer } from './destruction-services.ts';
import { destructionRounds, type DestructionRounds } from './destruction-rounds.ts';

export type StartDestructions = Omit<DestructionRounds, 'list'> & {
  /** Without a list outside the database nothing is destroyed, and none was begun. */
  list: DestroyedList | null;
  db: Kysely<Schema>;
  audit: Pick<Audit, 'within'>;
  bus: Pick<Bus, 'queue' | 'worker'>;
  tls: Pick<TlsMaterial, 'current'>;
  workloads: WorkloadTable;
  service: string;
  logger: Logger;
  metrics: Registry;
};

const EVERY_SECONDS = 5;

/** The worker's half of destroying tenants: the procedure, this service's own part of it, and the answers of the others. */
export function startDestructions(deps: StartDestructions): { close(): Promise<void> } {
  const { db, audit, bus, tls, workloads, service, list, logger, metrics, now } = deps;
  const handlers: SignalHandlers<Schema> = {
    [DESTROYED]: async (tx, { from, body }) =>
      void (await noteAnswer(queryIn(tx), from, body as Acknowledgement, now())),
  };
  const signals = startSignals({
    db,
    bus,
    service,
    tls,
    workloads,
    peers: PARTICIPANTS,
    handlers,
    logger,
    metrics,
    now,
  });
  const own = removeEnded({
    db,
    audit,
    service,
    list,
    now,
    remove: removeRecords,
    // They go last, when every other service has answered.
    keys: 'kept',
    acknowledge: async (tx, done) => void (await noteAnswer(queryIn(tx), service, done, now())),
  });
  const rounds = startRounds([...(list === null ? [] : destructionRounds({ ...deps, list })), own], {
    logger,
    everySeconds: EVERY_SECONDS,
  });
  return {
    async close() {
      await Promise.all([rounds.close(), signals.close()]);
    },
  };
}
