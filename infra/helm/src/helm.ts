import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { goProgram } from '@postern/testing';
import { parseAllDocuments } from 'yaml';
import { place } from './place.ts';

const run = promisify(execFile);

const VERSION = '3.19.5';
/** Helm's own release says this by a linker flag; built by name it would answer as 1.20. */
const KUBERNETES = ['--kube-version', '1.34.0'];
const home = join(import.meta.dirname, '../../../.cache', `helm-${VERSION}`);

/** Helm, built once from its Go module into the checkout's cache folder. @throws Error without Go, or when the module cannot be had */
export async function helmProgram(): Promise<string> {
  const program = join(home, 'helm');
  if (existsSync(program)) return program;
  await mkdir(dirname(home), { recursive: true });
  const draft = await mkdtemp(`${home}-`);
  try {
    const env = { ...process.env, GOBIN: draft, CGO_ENABLED: '0' };
    await run(goProgram(), ['install', `helm.sh/helm/v3/cmd/helm@v${VERSION}`], { env, maxBuffer: 64 * 1024 * 1024 });
    await rename(draft, home);
  } catch (cause) {
    await rm(draft, { recursive: true, force: true });
    if (!existsSync(program)) throw new Error('Helm cannot be built: it needs Go and its module', { cause });
  }
  return program;
}

export type KubernetesObject = {
  apiVersion: string;
  kind: string;
  metadata: { name: string; labels?: Record<string, string>; annotations?: Record<string, string> };
  [field: string]: unknown;
};

/** Runs Helm; what it says comes with a failure. Without a limit of time: stopped midway, it ends with 0 and half of its output. */
export async function helm(program: string, ...words: string[]): Promise<string> {
  const { stdout } = await run(program, words, { maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}

/** The chart's objects under these values: files first, then a document of further ones. @throws with what Helm says */
export async function render(program: string, files: readonly string[], values: object): Promise<KubernetesObject[]> {
  const words = ['template', 'postern', place('postern'), '--namespace', 'postern', ...KUBERNETES];
  const text = await helmUnder(program, words, files, values);
  return parseAllDocuments(text).flatMap((document) => {
    // A key that stands twice is one: Helm itself takes the last, others refuse the document.
    const [error] = document.errors;
    if (error) throw error;
    return (document.toJS() as KubernetesObject | null) ?? [];
  });
}

/** What Helm's own check says of the chart under these values. @throws with what it finds */
export const lint = (program: string, files: readonly string[], values: object): Promise<string> =>
  // Not --strict: Helm calls the missing icon a finding.
  helmUnder(program, ['lint', place('postern'), ...KUBERNETES], files, values);

async function helmUnder(
  program: string,
  words: readonly string[],
  files: readonly string[],
  values: object,
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-values-'));
  try {
    // A file: of `--set-json` an object takes the place of all that the files say there.
    const own = join(folder, 'values.json');
    await writeFile(own, JSON.stringify(values));
    const given = [...files.map((file) => place(`examples/${file}`)), own].flatMap((file) => ['--values', file]);
    return await helm(program, ...words, ...given);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
