// `npm test`: every check of the repository, from formatting to the suites on real servers. The last line counts.
// `npm test -- mtls postgres` runs the suites of these projects alone.
import { rmSync } from 'node:fs';
import { resolve } from 'node:path';
import {
  allProjects,
  clearResults,
  collectResults,
  folderOf,
  type Results,
  selectProjects,
} from './src/test-run/results.ts';
import { lookAgain } from './src/test-run/look-again.ts';
import { startSharedServers } from './src/test-run/shared-servers.ts';
import { runStep, runSteps, type Step } from './src/test-run/step.ts';
import { summaryOf } from './src/test-run/summary.ts';

/** Each is one process that keeps one core busy. */
const CHECKS_AT_ONCE = 2;
/** Suites wait for their servers for much of their time: two cores take three. */
const SUITES_AT_ONCE = 3;
/** The longest: they start at once, in a lane of their own. Nx begins with what most lean on, and they would run on alone at the end. */
const LONGEST = ['@postern/assurance', '@postern/dev'];

const nx = { NX_DAEMON: 'false', NX_TUI: 'false' };
/** Some hundred processes load the same modules: what one has compiled the next ones find (ADR-0088). */
const NODE_COMPILE_CACHE = resolve('.cache/compiled');
const named = process.argv.slice(2);
const projects = selectProjects(allProjects(), named);

// Lint reads the graph that Nx last wrote, and would leave the boundaries of projects unchecked without one.
const graph: Step = { name: 'graph of projects', command: ['nx', 'show', 'projects'], environment: nx };
// One process for all projects: most of lint's time goes into loading its rules and the graph. The longest come first.
const checks: Step[] = [
  { name: 'types', command: ['tsc', '-p', 'tsconfig.json'] },
  { name: 'lint', command: ['eslint', '.'], environment: nx },
  { name: 'formatting', command: ['prettier', '--check', '--log-level', 'warn', '.'] },
  { name: 'build', command: ['nx', 'run-many', '-t', 'build', '--parallel=1'], environment: nx },
];

const failedSteps =
  named.length > 0 ? [] : [...(await runSteps([graph], 1)), ...(await runSteps(checks, CHECKS_AT_ONCE))];

clearResults();
// Of files that have changed since nobody would ask again.
rmSync(NODE_COMPILE_CACHE, { recursive: true, force: true });
const servers = await startSharedServers();
console.log('✓ PostgreSQL and two Redis are up');
let results: Results[];
try {
  const [longest, others] = [true, false].map((long) => projects.filter((name) => LONGEST.includes(name) === long));
  await runSteps([...suites('longest tests', longest, 1), ...suites('tests', others, SUITES_AT_ONCE - 1)], 2);
  results = await lookAgain(collectResults(projects), runAgain);
} finally {
  await servers.close();
}

const summary = summaryOf(results, failedSteps, process.env['CI'] === 'true');
console.log(summary.lines.join('\n'));
process.exitCode = summary.exitCode;

/** The step that runs the suites of these projects, so many at once; none where there are none. */
function suites(name: string, of: readonly string[] = [], atOnce: number): Step[] {
  const command = ['run-many', '-t', 'test', `--parallel=${atOnce}`, '--outputStyle=stream', `--projects=${of.join()}`];
  const environment = { ...nx, ...servers.environment, NODE_COMPILE_CACHE };
  return of.length === 0 ? [] : [{ name, command: ['nx', ...command], environment, live: true }];
}

/** Runs these spec files of a project, with nothing beside them. */
async function runAgain(project: string, files: readonly string[]): Promise<Results[]> {
  const command = ['node', 'infra/build/jest.ts', folderOf(project), '--runTestsByPath', ...files] as const;
  const environment = { ...servers.environment, NODE_COMPILE_CACHE };
  await runStep({ name: `a second look at ${project}`, command, environment, live: true });
  return collectResults([project]);
}
