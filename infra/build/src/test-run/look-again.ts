import type { Results } from './results.ts';

/** With more files than these the change is to blame, and the run ends at once. */
const MOST_FILES = 3;

/**
 * Runs the spec files with a failure again, one project after the other, now that nothing else is at work (ADR-0089). A project whose files pass whole
 * has passed, and its failures are called unsteady; of any other the first results stand.
 *
 * @param run runs these files of a project; resolves to its results
 */
export async function lookAgain(
  results: readonly Results[],
  run: (project: string, files: readonly string[]) => Promise<readonly Results[]>,
): Promise<Results[]> {
  const failed = results.filter((result) => result.failed.length > 0);
  const files = failed.flatMap(({ again }) => again?.files ?? []);
  if (files.length > MOST_FILES || failed.some(({ again }) => again === undefined)) return [...results];
  const looked: Results[] = [];
  for (const first of results) {
    if (!first.again) {
      looked.push(first);
      continue;
    }
    const [second] = await run(first.project, first.again.files);
    looked.push(second?.failed.length === 0 && second.passed > first.again.passed ? together(first, second) : first);
  }
  return looked;
}

/** What passed at first beside these files, and what passed of them now. */
function together(first: Results, second: Results): Results {
  const { project, passed, failed, skipped, again } = first;
  return { project, passed: passed - (again?.passed ?? 0) + second.passed, failed: [], skipped, unsteady: failed };
}
