import type { Bus } from '@postern/bus';
import type { TlsMaterial } from '@postern/mtls';
import { withLease } from '@postern/postgres';
import { startRounds, type Logger, type Now, type Registry } from '@postern/runtime';
import { hearOfEvents } from '../new-events.ts';
import type { OutboxPostgres } from '../open-audit.ts';
import type { Sink } from './fetch-watermark.ts';
import { reconcileIntents, type Reconcilers } from './reconcile-intents.ts';
import { lead, pause } from './lead.ts';

export type RelayOptions = {
  postgres: Pick<OutboxPostgres, 'pool'>;
  /** The service's name, as in its certificate. */
  producer: string;
  bus: Pick<Bus, 'queue'>;
  /** The workload's own certificate: batches are signed with its key. */
  tls: Pick<TlsMaterial, 'current'>;
  sink: Sink;
  logger: Logger;
  metrics?: Registry;
  now?: Now;
  /**
   * How long an event stays after the log holds it: longer than the interval between the log's backups, so that a restored
   * log can be filled again. Default one hour.
   */
  keepForSeconds?: number;
  /** The log's verifier key, where the operator pins it. Otherwise the first one seen over mTLS is kept. */
  logKey?: string | undefined;
  /** How to find out what became of an effect whose outcome was never recorded, by action (R23). */
  reconcilers?: Reconcilers;
};

export type Relay = { close(): Promise<void> };

/** Between two attempts to become the relay. */
const FOLLOW_MS = 1_000;
const RECONCILE_EVERY_SECONDS = 60;

/**
 * Carries events from the outbox to the log: numbers them (R22), signs and sends batches (R26), asks the log how far it holds
 * them, judges the answer as a witness (R27), deletes what is provably held (R21), and sends again what is not. Any number
 * of replicas may run it; one works, another takes over within seconds of its end. Intents that stay open are settled beside
 * it (R23).
 */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  const { postgres, producer, logger } = options;
  const stop = new AbortController();
  const events = hearOfEvents(postgres.pool);

  const run = async () => {
    while (!stop.signal.aborted) {
      try {
        await withLease(postgres.pool, `audit relay ${producer}`, (term) => lead(options, term, events, stop.signal));
      } catch (err) {
        if (!stop.signal.aborted) logger.warn({ err, producer }, 'the audit relay starts again');
      }
      await pause(FOLLOW_MS, stop.signal);
    }
  };
  const running = run();
  const reconciling = startRounds([{ name: 'settle open intents', run: () => reconcileIntents(options) }], {
    logger,
    everySeconds: RECONCILE_EVERY_SECONDS,
  });
  return {
    async close() {
      stop.abort();
      await Promise.all([running, reconciling.close()]);
      events.close();
    },
  };
}
