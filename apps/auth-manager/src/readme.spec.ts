import { globSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';

const app = new URL('..', import.meta.url);
const readme = readFileSync(new URL('README.md', app), 'utf8');
const pictures = [...readme.matchAll(/```mermaid\nstateDiagram-v2\n([^`]*)```\n+((?:\|.*\n)+)/g)];

test.each(pictures.map(([, picture = '', table = '']) => ({ picture, table })))(
  'each state that a picture leads to has its line in the table below it',
  ({ picture, table }) => {
    const states = new Set([...picture.matchAll(/--> (\w+)/g)].map(([, state = '']) => state));
    const shown = [...table.matchAll(/^\| ([^|]*) \|/gm)].map(([, transition = '']) => transition).join('\n');
    expect(states.size).toBeGreaterThan(3);
    for (const state of states) expect(shown).toMatch(new RegExp(`→ ${state}\\b`));
  },
);

test('there are two pictures, and each test that a table names is there', () => {
  expect(pictures).toHaveLength(2);
  const named = pictures.flatMap(([, , table = '']) => [...table.matchAll(/`([\w-]+\.(?:int|spec))`/g)]);
  const specs = globSync('{apps/auth-manager/{src,test},infra/assurance/test}/**/*.spec.ts', {
    cwd: new URL('../..', app),
  }).map((path) => path.slice(path.lastIndexOf('/') + 1));
  expect(named.length).toBeGreaterThan(15);
  for (const [, name = ''] of named) expect(specs).toContain(`${name.replace(/\.spec$/, '')}.spec.ts`);
});
