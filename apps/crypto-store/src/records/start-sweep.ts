import { type Logger } from '@postern/runtime';
import { sweepRecords, type SweepRecords } from './sweep-records.ts';

const EVERY_MS = 60_000;

/** Sweeps once a minute, and again at once while there is more; one sweep at a time. `close` waits for the one under way. */
export function startSweep({ logger, ...deps }: SweepRecords & { logger: Logger }): { close(): Promise<void> } {
  let closed = false;
  let under: Promise<void> | undefined;
  const sweep = async () => {
    try {
      while (!closed && (await sweepRecords(deps)) > 0);
    } catch (err) {
      logger.error({ err }, 'records that ended were not destroyed');
    }
  };
  const timer = setInterval(() => {
    under ??= sweep().finally(() => (under = undefined));
  }, EVERY_MS);
  timer.unref();
  return {
    async close() {
      closed = true;
      clearInterval(timer);
      await under;
    },
  };
}
