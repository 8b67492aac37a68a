import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** What the specs of one project came to. It is an output of the Nx target, so a replay from the cache counts too. */
export type Results = {
  project: string;
  passed: number;
  /** The full names of the tests that failed, each with the beginning of what it said. */
  failed: string[];
  /** The full names of the tests that were skipped. They say why. */
  skipped: string[];
  /** Like `failed`, of those that passed when they were run again alone. */
  unsteady?: string[];
  /** What a second look runs again: the files with a failure, and how many tests of theirs passed. None where a failure is of no file. */
  again?: { files: string[]; passed: number } | undefined;
};

const FOLDER = '.cache/results';

const pathOf = (project: string): string => join(FOLDER, `${project}.json`);

export function writeResults(results: Results): void {
  const path = pathOf(results.project);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(results, null, 2)}\n`);
}

/** Forgets what an earlier run left, so that a project which does not report is seen. */
export function clearResults(): void {
  rmSync(FOLDER, { recursive: true, force: true });
}

/** The results of every project. One that left none has failed before it could. */
export function collectResults(projects: readonly string[]): Results[] {
  return projects.map((project) => {
    const path = pathOf(project);
    if (!existsSync(path)) return { project, passed: 0, failed: ['left no results'], skipped: [] };
    return JSON.parse(readFileSync(path, 'utf8')) as Results;
  });
}

/** The npm names of all projects of the workspace. */
export function allProjects(): string[] {
  return packageFiles().map(packageName).sort();
}

/** The folder of the project of that npm name. */
export function folderOf(project: string): string {
  const file = packageFiles().find((candidate) => packageName(candidate) === project);
  if (file === undefined) throw new Error(`there is no project ${project}`);
  return dirname(file);
}

const packageFiles = (): string[] => globSync('{apps,libs,infra}/*/package.json');

/** The `name` of a package.json. */
export const packageName = (file: string): string => (JSON.parse(readFileSync(file, 'utf8')) as { name: string }).name;

/** The projects that `names` name, whole or without `@postern/`; all where there are none. */
export function selectProjects(projects: readonly string[], names: readonly string[]): string[] {
  const unknown = names.find((name) => !projects.some((project) => isNamed(project, name)));
  if (unknown !== undefined) throw new Error(`there is no project ${unknown}; there are ${projects.join(', ')}`);
  return projects.filter((project) => names.length === 0 || names.some((name) => isNamed(project, name)));
}

const isNamed = (project: string, name: string): boolean => project === name || project === `@postern/${name}`;
