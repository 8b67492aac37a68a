import type { Logger } from './logger.ts';

export type Round = { name: string; run: () => Promise<void> };

/**
 * Runs rounds one after the other, at once and then after each pause, until closed; a failing one is logged and does not
 * stop the others. Several replicas may do so: each round is safe beside itself.
 */
export function startRounds(
  rounds: readonly Round[],
  { logger, everySeconds }: { logger: Logger; everySeconds: number },
): { close(): Promise<void> } {
  const stop = Promise.withResolvers<void>();
  let stopped = false;

  async function run(): Promise<void> {
    while (!stopped) {
      for (const { name, run: round } of rounds) {
        if (stopped) return;
        await round().catch((err: unknown) => logger.warn({ err, operation: name }, 'a round failed'));
      }
      let timer: NodeJS.Timeout | undefined;
      const pause = new Promise<void>((resolve) => (timer = setTimeout(resolve, everySeconds * 1000)));
      await Promise.race([pause, stop.promise]);
      clearTimeout(timer);
    }
  }
  const running = run();
  return {
    async close() {
      stopped = true;
      stop.resolve();
      await running;
    },
  };
}
