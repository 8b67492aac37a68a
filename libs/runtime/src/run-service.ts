import type { BaseConfig } from './base-settings.ts';
import { createLogger, type Logger } from './logger.ts';
import { ConfigurationError } from './setting.ts';
import { endTracing } from './trace.ts';

export type Running = {
  /** Where the service answers, by listener; logged, and sent to the parent process when there is one. */
  readonly urls?: Readonly<Record<string, string | undefined>>;
  /** Stops accepting, finishes what is in flight, closes what was opened. */
  close(): Promise<void>;
};

export type ServiceProcess<Config extends { readonly base: BaseConfig }> = {
  readonly name: string;
  readonly readConfig: (env: NodeJS.ProcessEnv) => Config;
  readonly start: (config: Config, logger: Logger) => Promise<Running>;
  /** How long a drain may take before the process gives up with exit code 1. Below the kubelet's 30 s. */
  readonly drainDeadlineMs?: number;
};

const EX_OK = 0;
const EX_FAILED = 1;
const EX_CONFIG = 78;
const EX_INTERRUPTED = 130;
/** After the drain: with its own deadline it stays below the kubelet's 30 s. A collector that is away costs the last spans. */
const SPANS_SENT_WITHIN_MS = 3_000;

/**
 * The whole life of a service's process: configuration, start, drain on SIGTERM or SIGINT (a second one ends it at once), exit code.
 * A wrong configuration prints the list of names on stderr and exits 78; a failed start or drain exits 1. When a parent process
 * holds an IPC channel, it is told `{ ready: urls }`, and its end is a signal to drain too.
 */
export async function runService<Config extends { readonly base: BaseConfig }>(
  service: ServiceProcess<Config>,
): Promise<void> {
  const config = readOrExit(service);
  const { base } = config;
  const logger = createLogger({ service: service.name, level: base.logLevel, environment: base.environment });
  const stop = stopSignal();

  const die = (phase: string) => (err: unknown) => {
    logger.error({ err, phase }, 'the process cannot go on');
    process.exit(EX_FAILED);
  };
  process.once('uncaughtException', die('uncaught exception'));
  process.once('unhandledRejection', die('unhandled rejection'));

  let running: Running;
  try {
    // A start may wait for a part that is away; it has promised nothing yet, so a signal ends it there.
    const started = await Promise.race([service.start(config, logger), stop]);
    if (typeof started === 'string') {
      logger.info({ signal: started }, 'stopped before it was ready');
      process.exit(EX_OK);
    }
    running = started;
  } catch (err) {
    if (err instanceof ConfigurationError) exitWithMistakes(err);
    return die('start')(err);
  }
  const urls = running.urls ?? {};
  logger.info(
    { profile: base.profile, role: base.role, origin: Object.values(urls).filter((url) => url !== undefined) },
    'ready',
  );
  process.send?.({ ready: urls });

  const signal = await stop;
  logger.info({ signal }, 'draining');
  process.once('SIGINT', () => process.exit(EX_INTERRUPTED));
  const deadline = setTimeout(() => die('drain')(new Error('deadline')), service.drainDeadlineMs ?? 25_000);
  try {
    await running.close();
  } catch (err) {
    return die('drain')(err);
  }
  clearTimeout(deadline);
  await endTracing(SPANS_SENT_WITHIN_MS);
  logger.info('stopped');
  process.exit(EX_OK);
}

function readOrExit<Config extends { readonly base: BaseConfig }>({ readConfig }: ServiceProcess<Config>): Config {
  try {
    return readConfig(process.env);
  } catch (error) {
    if (error instanceof ConfigurationError) exitWithMistakes(error);
    throw error;
  }
}

function exitWithMistakes(error: ConfigurationError): never {
  process.stderr.write(`${error.message}\n`);
  process.exit(EX_CONFIG);
}

function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve('SIGTERM'));
    process.once('SIGINT', () => resolve('SIGINT'));
    process.once('disconnect', () => resolve('parent ended'));
  });
}
