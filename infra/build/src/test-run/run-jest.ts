import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { TEST_RUN_VARIABLE, type TestRun } from '@postern/testing/run';
import type { Results } from './results.ts';

/** How long a process may live on when all its results are in, on a busy machine too. Longer, and something it opened is still open. */
const GRACE_MS = 15_000;
const POLL_MS = 100;

type JestReport = {
  numPassedTests: number;
  testResults: {
    name: string;
    status: string;
    message: string;
    assertionResults: { status: string; fullName: string; failureMessages: string[] }[];
  }[];
};

/** How much of what a failure says is kept for the end of the run. */
const MESSAGE_LINES = 12;
const MESSAGE_LENGTH = 1_500;

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
        'node_modules/jest/bin/jest.js',
        ...['-c', 'jest.preset.js', '--rootDir', root, '--runInBand', '--json', `--outputFile=${reportFile}`],
        ...options,
      ],
      { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, ...runOf(folder) } },
    );
    const leaked = await endedOrLeaked(jest, reportFile);
    if (!existsSync(reportFile)) return { project, passed: 0, failed: ['jest ended without a report'], skipped: [] };
    const results = resultsOf(project, JSON.parse(readFileSync(reportFile, 'utf8')) as JestReport);
    if (!leaked) return results;
    const leak =
      `all tests are done, but something they opened is still open ${GRACE_MS / 1000} s later. ` +
      `Find it: nx test ${project} -- --detectOpenHandles`;
    console.error(`${project}: ${leak}`);
    return { ...results, failed: [...results.failed, leak], again: undefined };
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

function resultsOf(project: string, report: JestReport): Results {
  const tests = report.testResults.flatMap(({ assertionResults }) => assertionResults);
  // Files that threw before any test of theirs ran.
  const broken = report.testResults
    .filter(({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0)
    .map(({ name, message }) => beginningOf(`${basename(name)}: ${message}`));
  const failed = tests.filter(({ status }) => status === 'failed');
  const failing = report.testResults.filter(({ status }) => status === 'failed');
  const passedBeside = failing.flatMap((file) => file.assertionResults).filter(({ status }) => status === 'passed');
  return {
    project,
    passed: report.numPassedTests,
    failed: [...broken, ...failed.map((test) => beginningOf(`${test.fullName}\n${test.failureMessages.join('\n')}`))],
    skipped: tests.filter(({ status }) => status === 'pending' || status === 'todo').map(({ fullName }) => fullName),
    ...(failing.length > 0 && { again: { files: failing.map(({ name }) => name), passed: passedBeside.length } }),
  };
}

function beginningOf(message: string): string {
  const lines = stripVTControlCharacters(message).split('\n').slice(0, MESSAGE_LINES);
  return lines.join('\n').slice(0, MESSAGE_LENGTH);
}
