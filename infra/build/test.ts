// `npm test`: every check of the repository, from formatting to the suites on real servers. The last line counts.
// `npm test -- mtls postgres` runs the suites of these projects alone.
import { allProjects, clearResults, collectResults, selectProjects } from './src/test-run/results.ts';
import { startSharedServers } from './src/test-run/shared-servers.ts';
import { runStep, type Step } from './src/test-run/step.ts';
import { summaryOf } from './src/test-run/summary.ts';

const nx = { NX_DAEMON: 'false', NX_TUI: 'false' };
const named = process.argv.slice(2);
const projects = selectProjects(allProjects(), named);

const checks: Step[] = [
  { name: 'formatting', command: ['prettier', '--check', '--log-level', 'warn', '.'] },
  { name: 'types', command: ['tsc', '-p', 'tsconfig.json'] },
  { name: 'lint', command: ['nx', 'run-many', '-t', 'lint', '--parallel=2'], environment: nx },
  { name: 'build', command: ['nx', 'run-many', '-t', 'build', '--parallel=2'], environment: nx },
];

const failedSteps: string[] = [];
for (const step of named.length > 0 ? [] : checks) if (!(await runStep(step))) failedSteps.push(step.name);

clearResults();
const servers = await startSharedServers();
console.log('✓ PostgreSQL and two Redis are up');
try {
  await runStep({
    name: 'tests',
    command: ['nx', 'run-many', '-t', 'test', '--parallel=2', '--outputStyle=stream', `--projects=${projects.join()}`],
    environment: { ...nx, ...servers.environment },
    live: true,
  });
} finally {
  await servers.close();
}

const summary = summaryOf(collectResults(projects), failedSteps, process.env['CI'] === 'true');
console.log(summary.lines.join('\n'));
process.exitCode = summary.exitCode;
