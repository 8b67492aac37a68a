import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';

const projects = globSync('{apps,libs,infra}/*/package.json').map((file) => dirname(file));

/** What a file names above all: `import()` is read when it is called for, so it closes no circle. */
const STATIC = /^(?:import|export)\s[^;]*?from\s+'(\.[^']+)';/gm;

/** The files of a project, each with those beside it that it imports, types too. */
function importsIn(root: string): Map<string, string[]> {
  const files = globSync('**/*.ts', { cwd: root, exclude: ['node_modules', 'dist'] });
  return new Map(
    files.map((file) => {
      const named = readFileSync(join(root, file), 'utf8').matchAll(STATIC);
      return [file, [...named].map(([, beside = '']) => join(dirname(file), beside))];
    }),
  );
}

/** Files that lead back to themselves, in the order of the imports; empty where there are none. */
function circleIn(imports: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>();
  const from = (file: string, way: readonly string[]): string[] => {
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
    if (done.has(file)) return [];
    for (const next of imports.get(file) ?? []) {
      const circle = from(next, [...way, file]);
      if (circle.length > 0) return circle;
    }
    done.add(file);
    return [];
  };
  for (const file of imports.keys()) {
    const circle = from(file, []);
    if (circle.length > 0) return circle;
  }
  return [];
}

// Of two files that need each other neither can be read first: what both speak of has a file of its own.
test.each(projects)('no file of %s imports itself by way of others', (root) => {
  const imports = importsIn(root);
  expect(imports.size).toBeGreaterThan(0);
  expect(circleIn(imports)).toEqual([]);
});

test('imports are read, and a circle is found', () => {
  expect(importsIn('infra/build').get('test.ts')).toContain('src/test-run/summary.ts');
  const imports = new Map([
    ['a.ts', ['b.ts']],
    ['b.ts', ['c.ts', 'd.ts']],
    ['c.ts', []],
    ['d.ts', ['b.ts']],
  ]);
  expect(circleIn(imports)).toEqual(['b.ts', 'd.ts', 'b.ts']);
});
