import { withLease } from '@postern/postgres';
import { startRounds } from '@postern/runtime';
import { hearOfEvents } from '../new-events.ts';
import { lead, pause } from './lead.ts';
import { reconcileIntents } from './reconcile-intents.ts';
import type { RelayOptions } from './relay-options.ts';

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
