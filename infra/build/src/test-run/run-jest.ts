import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TEST_RUN_VARIABLE, type TestRun } from '@postern/testing/run';
import type { Results } from './results.ts';

/** How long a process may live on when all its results are in. Longer, and something it opened is still open. */
const GRACE_MS = 5_000;
const POLL_MS = 100;

type JestReport = {
  numPassedTests: number;
  numFailedTests: number;
  /** Files that threw before any test of theirs ran. */
  numRuntimeErrorTestSuites: number;
  testResults: { assertionResults: { status: string; fullName: string }[] }[];
};

/**
 * Runs the specs of one project, one file after the other in one process, and counts.
 *
 * A process that does not end by itself is killed and counts as a failure: a leaked server or socket would go unseen.
 */
export async function runJest(root: string, project: string, options: readonly string[] = []): Promise<Results> {
  const folder = mkdtempSync(join(tmpdir(), 'postern-jest-'));
  const reportFile = join(folder, 'report.json');
  try {
    const jest = spawn(
      process.execPath,
      [
        ...['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js'],
        ...['-c', 'jest.preset.js', '--rootDir', root, '--runInBand', '--json', `--outputFile=${reportFile}`],
        ...options,
      ],
      { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, ...runOf(folder) } },
    );
    const leaked = await endedOrLeaked(jest, reportFile);
    if (leaked) {
      console.error(
        `${project}: all tests are done, but something they opened is still open ${GRACE_MS / 1000} s later. ` +
          `Find it: nx test ${project} -- --detectOpenHandles`,
      );
    }
    if (!existsSync(reportFile)) return { project, passed: 0, failed: 1, skipped: [] };
    return count(project, JSON.parse(readFileSync(reportFile, 'utf8')) as JestReport, leaked);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Without shared servers the specs still share a folder for certificates and data, that goes when they are done. */
function runOf(folder: string): Record<string, string> {
  if (process.env[TEST_RUN_VARIABLE] !== undefined) return {};
  const file = join(folder, 'run.json');
  const run: TestRun = { directory: folder };
  writeFileSync(file, JSON.stringify(run));
  return { [TEST_RUN_VARIABLE]: file };
}

async function endedOrLeaked(jest: ChildProcess, reportFile: string): Promise<boolean> {
  const ended = once(jest, 'exit').then(() => 'ended' as const);
  while ((await Promise.race([ended, sleep(POLL_MS)])) !== 'ended') {
    if (!existsSync(reportFile)) continue;
    if ((await Promise.race([ended, sleep(GRACE_MS)])) === 'ended') return false;
    jest.kill('SIGKILL');
    await ended;
    return true;
  }
  return false;
}

function count(project: string, report: JestReport, leaked: boolean): Results {
  const tests = report.testResults.flatMap(({ assertionResults }) => assertionResults);
  return {
    project,
    passed: report.numPassedTests,
    failed: report.numFailedTests + report.numRuntimeErrorTestSuites + (leaked ? 1 : 0),
    skipped: tests.filter(({ status }) => status === 'pending' || status === 'todo').map(({ fullName }) => fullName),
  };
}
