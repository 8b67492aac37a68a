import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';
import ts from 'typescript';

type Manifest = { name: string; dependencies?: Record<string, string>; devDependencies?: Record<string, string> };

const projects = globSync('{apps,libs,infra}/*/package.json').map((file) => ({
  root: dirname(file),
  manifest: JSON.parse(readFileSync(file, 'utf8')) as Manifest,
}));

const IN_PACKAGE = /^@postern\/[^/]+/;

/** The projects that the sources and the specs of `root` import, each with one file that does. */
function importedBy(root: string): Map<string, string> {
  const found = new Map<string, string>();
  const files = globSync('**/*.{ts,mjs}', { cwd: root, exclude: ['node_modules', 'dist'] });
  for (const file of files) {
    const { importedFiles } = ts.preProcessFile(readFileSync(join(root, file), 'utf8'));
    for (const { fileName } of importedFiles) {
      const name = IN_PACKAGE.exec(fileName)?.[0];
      if (name !== undefined) found.set(name, file);
    }
  }
  return found;
}

// The workspace links every project into one node_modules, so an import that no manifest names works here, and fails
// where a tree is made of the manifests: an image, or an install of one project.
test.each(projects.map(({ root, manifest }) => [root, manifest] as const))(
  '%s names each project that it imports, and no other',
  (root, { name, dependencies, devDependencies }) => {
    const imported = importedBy(root);
    imported.delete(name);
    const named = Object.keys({ ...dependencies, ...devDependencies }).filter((other) => IN_PACKAGE.test(other));
    expect([...imported].filter(([other]) => !named.includes(other))).toEqual([]);
    expect(named.filter((other) => !imported.has(other))).toEqual([]);
  },
);

test('projects are found, and imports in them', () => {
  expect(projects.length).toBeGreaterThan(20);
  expect([...importedBy('libs/client').keys()]).toEqual(
    expect.arrayContaining(['@postern/policy', '@postern/testing']),
  );
});
