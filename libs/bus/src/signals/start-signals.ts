import type { Kysely } from 'kysely';
import type { TlsMaterial, WorkloadTable } from '@postern/mtls';
import { queryIn } from '@postern/postgres';
import { Counter, startRounds, systemNow, uuidv7, type Logger, type Now, type Registry } from '@postern/runtime';
import { JobRefused, type Bus } from '../open-bus.ts';
import { signalQueue } from '../prefix.ts';
import { openSignal, SignalRefused } from './open-signal.ts';
import { sendDue, sendSignal } from './send-signals.ts';
import { RECEIVED, type Signal } from './signal.ts';
import { signalTypes, type SignalTypes } from './signal-types.ts';
import { forgetTaken, parkedSignals, parkSignal, takeSignal, type SignalHandlers } from './take-signal.ts';

export type SignalsOptions<Schema> = {
  db: Kysely<Schema>;
  bus: Pick<Bus, 'queue' | 'worker'>;
  /** This service. */
  service: string;
  /** The workload's own certificate: signals are signed with its key, and judged by its anchors. */
  tls: Pick<TlsMaterial, 'current'>;
  workloads: WorkloadTable;
  /** Services that this one exchanges signals with. */
  peers: readonly string[];
  /** What this service does about signals to it. */
  handlers: SignalHandlers<Schema>;
  types?: SignalTypes;
  logger: Logger;
  metrics?: Registry;
  now?: Now;
};

const EVERY_SECONDS = 1;
const TIDY_EVERY_SECONDS = 600;

/**
 * The worker's half of signals: sends what `emitSignal` wrote until it was taken, and takes what others send. Redis carries
 * hints (R21): what is lost there comes again, what is forged there is refused and counted, what comes twice has one effect.
 */
export function startSignals<Schema>(options: SignalsOptions<Schema>): { close(): Promise<void> } {
  const { db, bus, service, tls, workloads, peers, handlers, logger, now = systemNow } = options;
  const types: SignalTypes = options.types ?? signalTypes;
  const query = queryIn(db);
  const sender = { bus, tls, service, now };
  const counted = signalMetrics(options.metrics);

  const acknowledge = ({ id, from }: Pick<Signal, 'id' | 'from'>) =>
    sendSignal(sender, { id: uuidv7(), to: from, type: RECEIVED, version: 1, body: { ids: [id] } });

  const take = async (signal: Signal) => {
    const handler = Object.hasOwn(handlers, signal.type) ? handlers[signal.type] : undefined;
    if (!handler) throw new SignalRefused('signal_without_handler');
    const fresh = await takeSignal(db, signal, handler);
    counted?.inc({ result: fresh ? 'taken' : 'repeated', type: signal.type });
    await acknowledge(signal);
  };

  const receive = async (payload: unknown, from: string) => {
    const at = { from, to: service, types, anchors: tls.current().ca, workloads, now: now() };
    const { signal, known } = openSignal(payload, at);
    if (signal.type === RECEIVED) {
      const ids = signal.body['ids'];
      await query('delete from signals_out where id = any($1::uuid[]) and recipient = $2', [ids, from]);
    } else if (known) {
      await take(signal);
    } else {
      await parkSignal(db, signal);
      counted?.inc({ result: 'parked', type: 'unknown' });
      logger.warn({ peer: from }, 'a signal of a later release is parked');
    }
  };

  const takeParked = async () => {
    const known = Object.keys(types).filter((type) => Object.hasOwn(handlers, type));
    for (const parked of await parkedSignals(db, service, known)) {
      const { from, versions } = types[parked.type]!;
      const body = versions[parked.version]?.safeParse(parked.body);
      if (!from.includes(parked.from) || !body?.success) continue;
      // One that cannot be taken keeps no other waiting.
      await take({ ...parked, at: now().toISOString(), body: body.data as Signal['body'] }).catch((err: unknown) =>
        logger.warn({ err, peer: parked.from }, 'a parked signal was not taken'),
      );
    }
  };

  for (const from of peers) {
    bus.worker({ queue: signalQueue(service), of: from }, async (payload) => {
      try {
        await receive(payload, from);
      } catch (error) {
        if (!(error instanceof SignalRefused)) throw error;
        counted?.inc({ result: 'refused', type: error.reason });
        logger.warn({ peer: from, reason: error.reason }, 'a signal was refused');
        throw new JobRefused(error.reason);
      }
    });
  }
  const sending = startRounds([{ name: 'send signals', run: () => sendDue(query, sender) }], {
    logger,
    everySeconds: EVERY_SECONDS,
  });
  const tidying = startRounds(
    [
      { name: 'take parked signals', run: takeParked },
      { name: 'forget signals', run: () => forgetTaken(db) },
    ],
    { logger, everySeconds: TIDY_EVERY_SECONDS },
  );
  return {
    async close() {
      await Promise.all([sending.close(), tidying.close()]);
    },
  };
}

function signalMetrics(registry: Registry | undefined) {
  if (!registry) return null;
  return new Counter({
    name: 'postern_signals_total',
    help: 'Signals by what became of them; refused ones by reason.',
    labelNames: ['result', 'type'] as const,
    registers: [registry],
  });
}
