import type { Results } from './results.ts';

/**
 * The end of `npm test`: what was skipped and why, what failed and with which words, and last `N passed, N failed, N skipped`. A check that
 * failed before the tests (types, lint) counts as one failure. Under `CI=true` everything must be had: a skip fails. What passed at the
 * second look only counts as passed, and is named with what it said at the first.
 */
export function summaryOf(
  results: readonly Results[],
  failedSteps: readonly string[],
  ci: boolean,
): { lines: string[]; exitCode: 0 | 1 } {
  const total = (count: (result: Results) => number) => results.reduce((sum, result) => sum + count(result), 0);
  const skipped = total((result) => result.skipped.length);
  const failed = total((result) => result.failed.length) + failedSteps.length;
  const lines = [
    ...results.flatMap(({ project, skipped }) => skipped.map((name) => `skipped: ${project}: ${name}`)),
    ...failedSteps.map((name) => `failed: ${name}`),
    ...results.flatMap(({ project, failed }) => failed.map((failure) => `failed: ${project}: ${failure}`)),
    ...results.flatMap(({ project, unsteady = [] }) =>
      unsteady.map((failure) => `unsteady (failed, passed when run again alone; to be mended): ${project}: ${failure}`),
    ),
    ...(ci && skipped > 0 ? ['CI=true: what is skipped fails the run'] : []),
    `${total((result) => result.passed)} passed, ${failed} failed, ${skipped} skipped`,
  ];
  return { lines, exitCode: failed > 0 || (ci && skipped > 0) ? 1 : 0 };
}
