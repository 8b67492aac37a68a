import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { addMigration, MigrationRefused } from './new-migration.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'migrations-'));
  writeFileSync(join(folder, '0001-grants.ts'), 'export const grants0001 = ``;\n');
  writeFileSync(
    join(folder, 'grants.ts'),
    `import { type MigrationSet } from '@postern/postgres';
import { grants0001 } from './0001-grants.ts';

export const grantMigrations: MigrationSet = { set: 'grants', steps: { '0001-grants': grants0001 } };
`,
  );
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a step goes to the end of its set, under the next number, and what was there stays as it is', () => {
  const before = readFileSync(join(folder, '0001-grants.ts'), 'utf8');
  expect(addMigration(folder, 'grants', 'labels').step).toBe('0002-labels');
  expect(addMigration(folder, 'grants', 'notes').step).toBe('0003-notes');
  const set = readFileSync(join(folder, 'grants.ts'), 'utf8');
  expect([...set.matchAll(/'(\d{4}-\w+)': (\w+)/g)].map(([, step, constant]) => `${step} ${constant}`)).toEqual([
    '0001-grants grants0001',
    '0002-labels grants0002',
    '0003-notes grants0003',
  ]);
  expect([...set.matchAll(/from '\.\/(.+)\.ts'/g)].map(([, file]) => file)).toEqual([
    '0001-grants',
    '0002-labels',
    '0003-notes',
  ]);
  expect(readFileSync(join(folder, '0002-labels.ts'), 'utf8')).toContain('export const grants0002 = `');
  expect(readFileSync(join(folder, '0001-grants.ts'), 'utf8')).toBe(before);
});

test('an unknown set and a name that is no name make nothing', () => {
  expect(() => addMigration(folder, 'nothing', 'labels')).toThrow(/no set nothing, only grants\.ts/);
  for (const name of ['Labels', '../x', 'a b', ''])
    expect(() => addMigration(folder, 'grants', name)).toThrow(MigrationRefused);
});
