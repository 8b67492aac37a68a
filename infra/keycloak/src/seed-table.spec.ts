import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { designedOptions } from '../test/nix/designed-options.ts';
import { documentJsonSchema } from './index.ts';

const part = join(import.meta.dirname, '..');
const repository = join(part, '../..');
const readme = readFileSync(join(part, 'README.md'), 'utf8');
const [, table = ''] = /<!-- seed table -->([\s\S]*)<!-- \/seed table -->/.exec(readme) ?? [];
const states = ['yes', 'partly', 'decided', 'no', 'not run'];

/** The cells of each row, with the head of its table. */
const rows = table.split(/^### /m).flatMap((section) => {
  const [head, , ...lines] = section.split('\n').filter((line) => line.startsWith('|'));
  const cells = (line: string) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim());
  return lines.map((line) => ({ head: cells(head ?? ''), row: cells(line), line: line.replace(/ +/g, ' ') }));
});
const shown = rows.filter(({ head }) => head.at(-1) === 'shown by');
/** Where a path leads: below this part, or below the repository. */
const found = (path: string) => [part, repository].map((base) => join(base, path)).find((at) => existsSync(at));
const isPath = (code: string) => /^[\w.-]+(\/[\w.-]+)+$/.test(code);

test('there is a row for every item, each with a state', () => {
  expect(rows.length).toBeGreaterThan(200);
  const stated = shown.filter(({ head }) => head[1] === 'state');
  expect(stated.filter(({ row }) => !states.includes(row[1] ?? '')).map(({ line }) => line)).toEqual([]);
});

test('every path that is named is there', () => {
  const missing = rows.flatMap(({ line }) =>
    [...line.matchAll(/`([^`]+)`/g)].flatMap(([, code = '']) => (isPath(code) && !found(code) ? [code] : [])),
  );
  // Files of the design's own tree, which are named as items and stand below `nix/`.
  expect(missing.filter((path) => !found(`nix/${path}`))).toEqual([]);
});

test('every row names a test, and the words of each stand in its file', () => {
  const wrong = shown.flatMap(({ row, line }) => {
    const cell = row.at(-1) ?? '';
    const named = [...cell.matchAll(/`([^`]+)`((?:,? *"[^"]+")+)/g)].flatMap(([, path = '', words = '']) =>
      [...words.matchAll(/"([^"]+)"/g)].map(([, word = '']) => ({ path, word })),
    );
    if (named.length === 0) return [`no test: ${line}`];
    return named
      .filter(({ path, word }) => !found(path) || !readFileSync(found(path) ?? '', 'utf8').includes(word))
      .map(({ path, word }) => `${path}: ${word}`);
  });
  expect(wrong).toEqual([]);
});

test('every option of section 3.2 has its row, with its default and a key that the document has', () => {
  const options = rows.filter(({ head }) => head[0]?.startsWith('option of'));
  expect(options.map(({ row }) => row[0]?.replaceAll('`', '')).sort()).toEqual(Object.keys(designedOptions).sort());
  const schema = JSON.stringify(documentJsonSchema());
  const unknown = options.flatMap(({ row }) => {
    const key =
      /`([^`]+)`/
        .exec(row[2] ?? '')?.[1]
        ?.split('.')
        .at(-1) ?? '';
    return schema.includes(`"${key}"`) ? [] : [key];
  });
  expect(unknown).toEqual([]);
});
