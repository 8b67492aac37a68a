import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const read = (path: string) => readFileSync(join(root, path), 'utf8');

/** Every page of this repository, but what is built or kept on this machine. */
const pages = globSync('{*.md,{apps,libs,infra,docker}/**/*.md}', {
  cwd: root,
  exclude: (path) => /(^|\/)(node_modules|dist|\.files)(\/|$)/.test(path),
});

const withoutCode = (text: string) => text.replaceAll(/^```[\s\S]*?^```/gm, '');

/** The anchors of a page, as its readers make them of headings. */
const anchorsOf = (page: string): string[] =>
  [...withoutCode(read(page)).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  );

function brokenLinks(page: string): string[] {
  const links = [...withoutCode(read(page)).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
  return links.filter((link) => {
    if (/^[a-z]+:/.test(link)) return false;
    const [path = '', anchor] = link.split('#');
    const target = path === '' ? page : normalize(join(dirname(page), path));
    if (!existsSync(join(root, target))) return true;
    return anchor !== undefined && !anchorsOf(target).includes(anchor);
  });
}

/** Made by a command that the same page names. */
const MADE = ['docker/.files'];

const namedPaths = (page: string): string[] =>
  [...read(page).matchAll(/(?:`|\bnode )((?:apps|libs|infra|docker)\/[\w./@-]*[\w@-])/g)].map(([, path = '']) => path);

test('there are pages to hold', () => expect(pages.length).toBeGreaterThan(90));

test.each(pages)('%s: every link and every path leads somewhere', (page) => {
  expect(brokenLinks(page)).toEqual([]);
  expect(namedPaths(page).filter((path) => !MADE.includes(path) && !existsSync(join(root, path)))).toEqual([]);
});

/** Whether a name begins one that the sources write down whole, or whose second half they put together. */
const isRow = (sources: string, name: string): boolean =>
  sources.includes(`'${name}`) || sources.includes(`\`${name.split('/')[0]}/\${`);

test('every script that a page tells to run is there, and every row of a bench or an assurance case', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const sourcesOf = (project: string) => globSync(`infra/${project}/src/**/*.ts`, { cwd: root }).map(read).join('\n');
  const sources: Record<string, string> = { bench: sourcesOf('bench'), assurance: sourcesOf('assurance') };
  const missing = pages.flatMap((page) =>
    [...read(page).matchAll(/npm run ([a-z:]+)(?: -- ([a-z][a-z0-9/-]*[a-z0-9]))?/g)].flatMap(
      ([said, script = '', row]) => {
        const held = sources[script];
        const isThere = script in scripts && (row === undefined || held === undefined || isRow(held, row));
        return isThere ? [] : [`${page}: ${said}`];
      },
    ),
  );
  expect(missing).toEqual([]);
});

test('every decision that is referred to by its number is there', () => {
  const numbers = new Set(globSync('infra/adr/*.md', { cwd: root }).map((path) => Number(/(\d{4})-/.exec(path)?.[1])));
  const referring = [...pages, ...globSync('{apps,libs,infra}/*/{src,test}/**/*.ts', { cwd: root })];
  const missing = referring.flatMap((path) =>
    [...read(path).matchAll(/\bADR (\d+)/g)]
      .filter(([, number]) => !numbers.has(Number(number)))
      .map(([said]) => `${path}: ${said}`),
  );
  expect(missing).toEqual([]);
});
