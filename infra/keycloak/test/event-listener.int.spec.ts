import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { expect, test } from '@jest/globals';
import { describeWith, realPart } from '@postern/testing';

import { OUR_LISTENER } from '../src/realm/check.ts';

const run = promisify(execFile);
const source = new URL('../event-listener/', import.meta.url).pathname;
const BUILD_MS = 400_000;

const maven = await realPart('Maven', () => run('mvn', ['-version']));

describeWith(maven, 'the event listener of Keycloak', () => {
  test(
    'it builds, its own tests pass, and its jar names the provider that realms ask for',
    async () => {
      const folder = await mkdtemp(join(tmpdir(), 'postern-listener-'));
      try {
        await cp(source, folder, { recursive: true, filter: (path) => !path.endsWith('/target') });
        await run('mvn', ['-B', '-q', 'package'], { cwd: folder, timeout: BUILD_MS, maxBuffer: 16_777_216 });
        const reports = join(folder, 'target/surefire-reports');
        const texts = await Promise.all(
          (await readdir(reports))
            .filter((name) => name.endsWith('.txt'))
            .map((name) => readFile(join(reports, name), 'utf8')),
        );
        const counted = texts.map((text) => /Tests run: (\d+), Failures: 0, Errors: 0, Skipped: 0/.exec(text)?.[1]);
        expect(counted.map(Number).reduce((sum, one) => sum + one, 0)).toBeGreaterThanOrEqual(8);
        const factory = await readFile(
          join(folder, 'src/main/java/com/postern/keycloak/events/PosternEventListenerFactory.java'),
          'utf8',
        );
        expect(factory).toContain(`"${OUR_LISTENER}"`);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
    BUILD_MS,
  );
});
