import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CommandFailed, exitCodes, type Terminal } from '../outcome.ts';

const run = promisify(execFile);
const MOST_SAID = 64 * 1024 * 1024;

/** PostgreSQL's own programs, of the server's version or a later one. What they say of a failure comes with it. */
export type PostgresTools = {
  version(): Promise<string>;
  dump(url: string, file: string): Promise<void>;
  /** The statements of a dump, in a file. */
  statementsOf(dump: string, file: string): Promise<void>;
  /** Runs the files in one transaction: all of it has happened, or nothing. */
  apply(url: string, files: readonly string[]): Promise<void>;
  /** The first column of the first row. */
  ask(url: string, query: string): Promise<string>;
};

/** @param folder where the programs are; without it, on PATH */
export function postgresTools(folder: string | undefined, { environment }: Terminal): PostgresTools {
  const call = async (program: string, words: readonly string[]): Promise<string> => {
    try {
      const path = folder === undefined ? program : join(folder, program);
      const { stdout } = await run(path, words, { env: environment as NodeJS.ProcessEnv, maxBuffer: MOST_SAID });
      return stdout.trim();
    } catch (error) {
      const { code, stderr = '' } = error as { code?: unknown; stderr?: string };
      const said =
        code === 'ENOENT' ? 'it is not there: --tools says where PostgreSQL has it' : stderr.trim().split('\n').at(-1);
      throw new CommandFailed(exitCodes.unreachable, `${program}: ${said}`);
    }
  };
  const psql = (url: string, ...words: string[]) =>
    call('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', url, ...words]);
  return {
    version: () => call('pg_dump', ['--version']),
    dump: async (url, file) =>
      void (await call('pg_dump', ['--format=custom', '--no-password', '--file', file, '-d', url])),
    statementsOf: async (dump, file) => void (await call('pg_restore', ['--file', file, dump])),
    apply: async (url, files) =>
      void (await psql(url, '--no-password', '--single-transaction', ...files.flatMap((file) => ['-f', file]))),
    ask: (url, query) => psql(url, '--no-password', '-A', '-t', '-c', query),
  };
}
