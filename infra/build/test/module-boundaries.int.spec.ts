import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';

type Graph = { nodes: Record<string, unknown>; dependencies: Record<string, { target: string }[]> };

let graph: Graph;

beforeAll(() => {
  // It also refreshes the graph that the lint rule reads: eslint alone would use the last one.
  const folder = mkdtempSync(join(tmpdir(), 'postern-graph-'));
  try {
    const file = join(folder, 'graph.json');
    const nx = spawnSync('node_modules/.bin/nx', ['graph', `--file=${file}`], {
      env: { ...process.env, NX_DAEMON: 'false', NX_TUI: 'false' },
      encoding: 'utf8',
    });
    if (nx.status !== 0) throw new Error(nx.stderr);
    ({ graph } = JSON.parse(readFileSync(file, 'utf8')) as { graph: Graph });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

type Sample = [what: string, file: string, imports: string];

const refused: Sample[] = [
  ['a contract that leans on an adapter', 'libs/profile/src/violation.ts', '@postern/postgres'],
  ['a domain that leans on an adapter', 'libs/oidc/src/violation.ts', '@postern/mtls'],
  ['a domain that imports a database driver', 'libs/oidc/src/violation.ts', 'pg'],
  ['an adapter that leans on the HTTP layer', 'libs/mtls/src/violation.ts', '@postern/http'],
  ['an app that leans on an app', 'apps/key-proxy/src/violation.ts', '@postern/crypto-store'],
  ['an app that leans on the testing library (R6)', 'apps/key-proxy/src/violation.ts', '@postern/testing'],
  ['a way round by a relative path', 'libs/mtls/src/violation.ts', '../../postgres/src/index.ts'],
];

const allowed: Sample[] = [
  ['an adapter on an adapter', 'libs/postgres/src/allowed.ts', '@postern/mtls'],
  ['a spec on the testing library', 'apps/key-proxy/test/allowed.int.spec.ts', '@postern/testing'],
];

// One process for all: what costs is to load the rules and the graph.
const LINT = `
import { ESLint } from 'eslint';
import { json } from 'node:stream/consumers';
const eslint = new ESLint();
const results = [];
for (const { file, source } of await json(process.stdin)) {
  const [{ messages }] = await eslint.lintText(source, { filePath: file });
  results.push(messages.map(({ ruleId }) => ruleId));
}
process.stdout.write(JSON.stringify(results));
`;

/** The rules that lint names for each file with that text. No file need exist, so nothing is left behind. */
function rulesBroken(samples: readonly Sample[]): Map<Sample, string[]> {
  const input = samples.map(([, file, name]) => ({
    file,
    source: `import * as imported from '${name}';\nexport const used = imported;\n`,
  }));
  const lint = spawnSync(process.execPath, ['--input-type=module', '--eval', LINT], {
    input: JSON.stringify(input),
    encoding: 'utf8',
    env: { ...process.env, NX_DAEMON: 'false' },
  });
  if (lint.status !== 0) throw new Error(lint.stderr);
  const rules = JSON.parse(lint.stdout) as string[][];
  return new Map(samples.map((sample, at) => [sample, rules[at]!]));
}

let broken: Map<Sample, string[]>;
beforeAll(() => {
  broken = rulesBroken([...refused, ...allowed]);
});

test.each(refused.map((sample) => [sample[0], sample] as const))('lint refuses %s', (_, sample) => {
  expect(broken.get(sample)).toEqual(['@nx/enforce-module-boundaries']);
});

test.each(allowed.map((sample) => [sample[0], sample] as const))('lint allows %s', (_, sample) => {
  expect(broken.get(sample)).toEqual([]);
});

test('the graph of projects has no cycle', () => {
  const onPath: string[] = [];
  const done = new Set<string>();
  const visit = (project: string): string[] | null => {
    if (onPath.includes(project)) return [...onPath.slice(onPath.indexOf(project)), project];
    if (done.has(project)) return null;
    onPath.push(project);
    for (const { target } of graph.dependencies[project] ?? []) {
      const cycle = target in graph.nodes ? visit(target) : null;
      if (cycle) return cycle;
    }
    onPath.pop();
    done.add(project);
    return null;
  };
  expect(Object.keys(graph.nodes).length).toBeGreaterThan(20);
  expect(Object.keys(graph.nodes).map(visit).find(Boolean)).toBeUndefined();
});
