import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { beforeAll, describe, expect, test } from '@jest/globals';

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

/** What lint says of a file of that name with that text. The file need not exist, so nothing is left behind. */
async function messages(file: string, source: string): Promise<{ rule: string; message: string }[]> {
  const eslint = spawn('node_modules/.bin/eslint', ['--stdin', '--stdin-filename', file, '--format', 'json']);
  eslint.stdin.end(source);
  const [output] = await Promise.all([text(eslint.stdout), once(eslint, 'close')]);
  const [result] = JSON.parse(output) as [{ messages: { ruleId: string; message: string }[] }];
  return result.messages.map(({ ruleId, message }) => ({ rule: ruleId, message }));
}

const importing = (name: string) => `import * as imported from '${name}';\nexport const used = imported;\n`;

describe('lint refuses', () => {
  test.each([
    ['a contract that leans on an adapter', 'libs/profile/src/violation.ts', '@postern/postgres'],
    ['a domain that leans on an adapter', 'libs/oidc/src/violation.ts', '@postern/mtls'],
    ['a domain that imports a database driver', 'libs/oidc/src/violation.ts', 'pg'],
    ['an adapter that leans on the HTTP layer', 'libs/mtls/src/violation.ts', '@postern/http'],
    ['an app that leans on an app', 'apps/key-proxy/src/violation.ts', '@postern/crypto-store'],
    ['an app that leans on the testing library (R6)', 'apps/key-proxy/src/violation.ts', '@postern/testing'],
    ['a way round by a relative path', 'libs/mtls/src/violation.ts', '../../postgres/src/index.ts'],
  ])('%s', async (_, file, name) => {
    const found = await messages(file, importing(name));
    expect(found.map(({ rule }) => rule)).toEqual(['@nx/enforce-module-boundaries']);
  });
});

describe('lint allows', () => {
  test.each([
    ['an adapter on an adapter', 'libs/postgres/src/allowed.ts', '@postern/mtls'],
    ['a spec on the testing library', 'apps/key-proxy/test/allowed.int.spec.ts', '@postern/testing'],
  ])('%s', async (_, file, name) => {
    expect(await messages(file, importing(name))).toEqual([]);
  });
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
