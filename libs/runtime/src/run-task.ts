import { ConfigurationError } from './setting.ts';

/**
 * The whole life of a process that does one thing and ends, such as a migration. A wrong configuration prints the list
 * of names on stderr and exits 78; a failed run prints the error's message, not its cause, and exits 1.
 */
export async function runTask<Config>(task: {
  readonly readConfig: (env: NodeJS.ProcessEnv) => Config;
  /** Returns the line to print on stdout. */
  readonly run: (config: Config) => Promise<string>;
}): Promise<void> {
  try {
    process.stdout.write(`${await task.run(task.readConfig(process.env))}\n`);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : 'the task failed'}\n`);
    process.exitCode = error instanceof ConfigurationError ? 78 : 1;
  }
}
