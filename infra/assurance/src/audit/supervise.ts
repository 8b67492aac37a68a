import { startLeashed, type Leashed } from '@postern/testing';
import { setTimeout as delay } from 'node:timers/promises';

/** A process that is started again whenever it ends, as a service manager does. */
export type Supervised = {
  logFile: string;
  start(): void;
  /** SIGKILL. It is started again. */
  crash(): Promise<void>;
  /** SIGKILL, for good. */
  end(): Promise<void>;
};

const START_AGAIN_MS = 200;

export function supervise(
  command: readonly string[],
  { logFile, env }: { logFile: string; env: Record<string, string> },
): Supervised {
  let running: Leashed | undefined;
  let wanted = false;
  const start = () => {
    const started = startLeashed(command, { logFile, stopSignal: 'TERM', env });
    running = started;
    started.ended.catch(() => {});
    const again = async () => {
      await started.exit;
      await delay(START_AGAIN_MS);
      if (wanted) start();
    };
    again().catch(() => {});
  };
  return {
    logFile,
    start() {
      wanted = true;
      start();
    },
    crash: async () => running?.kill(),
    async end() {
      wanted = false;
      await running?.kill();
      // What was to be started again meanwhile is not wanted any more.
      await delay(START_AGAIN_MS);
    },
  };
}
