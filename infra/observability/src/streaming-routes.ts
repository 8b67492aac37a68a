import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { place } from './files.ts';

/** Pages of the documentation are files: they are sent at once. */
const FILES = 'libs/http/src/docs.ts';

/** Paths of the routes that answer a stream, as the sources declare them. */
export function streamingRoutes(): string[] {
  const root = place('../..');
  return globSync('{apps,libs}/*/src/**/*.ts', { cwd: root })
    .filter((file) => file !== FILES)
    .flatMap((file) =>
      // A route says its path before its answers.
      readFileSync(join(root, file), 'utf8')
        .split(/(?=\bpath: ['`])/)
        .filter((part) => /answers: \{ 200: 'stream'/.test(part))
        .map((part) => /path: ['`]([^'`]+)/.exec(part)?.[1] ?? `a route of ${file}`),
    );
}
