import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { lookAgain } from '../src/test-run/look-again.ts';
import type { Results } from '../src/test-run/results.ts';
import { runJest } from '../src/test-run/run-jest.ts';
import { runSteps, type Step } from '../src/test-run/step.ts';
import { summaryOf } from '../src/test-run/summary.ts';

// Inside the checkout, where the specs find their packages, and in a folder that no project has.
mkdirSync('.cache', { recursive: true });
const folder = mkdtempSync('.cache/spec-');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const specs = (name: string, source: string): string => {
  const root = join(folder, name);
  mkdirSync(join(root, 'src'), { recursive: true });
  writeFileSync(join(root, 'src/a.spec.ts'), `import { test } from '@jest/globals';\n${source}`);
  return root;
};

describe('the specs of a project', () => {
  test('are counted, the skipped by name, the failed with what they said', async () => {
    const root = specs(
      'counted',
      `test('a', () => {}); test('b', () => { throw new Error('its reason'); }); test.skip('c: why', () => {});`,
    );
    expect(await runJest(root, 'counted')).toEqual({
      project: 'counted',
      passed: 1,
      failed: [expect.stringMatching(/^b\nError: its reason\n/)],
      skipped: ['c: why'],
      again: { files: [expect.stringMatching(/counted\/src\/a\.spec\.ts$/)], passed: 1 },
    });
  });

  test('fail when one cannot even be loaded', async () => {
    expect(await runJest(specs('broken', `import 'missing-package';`), 'broken')).toMatchObject({
      passed: 0,
      failed: [expect.stringContaining('missing-package')],
      again: { passed: 0 },
    });
  });

  test('fail when what they opened stays open', async () => {
    const root = specs(
      'leaking',
      `import { createServer } from 'node:net'; test('a', () => { createServer().listen(0); });`,
    );
    expect(await runJest(root, 'leaking')).toEqual({
      project: 'leaking',
      passed: 1,
      failed: [expect.stringContaining('still open')],
      skipped: [],
    });
  });
});

test('steps run so many at once, each of them, and the failed are named', async () => {
  const log = join(folder, 'steps.txt');
  const step = (name: string, code: number): Step => ({
    name,
    command: ['sh', '-c', `echo begun >> ${log}; until [ $(wc -l < ${log}) -ge 2 ]; do sleep 0.1; done; exit ${code}`],
  });
  // The first two wait for each other: one after the other they would never end.
  expect(await runSteps([step('a', 1), step('b', 0), step('c', 3)], 2)).toEqual(['a', 'c']);
  expect(readFileSync(log, 'utf8').trim().split('\n')).toHaveLength(3);
});

describe('a second look', () => {
  /** Fails as long as a file is missing that its first run makes. */
  const unsteady = (marker: string) =>
    specs(
      'unsteady',
      `import { existsSync, writeFileSync } from 'node:fs';
       test('a', () => {});
       test('b', () => { if (!existsSync('${marker}')) { writeFileSync('${marker}', ''); throw new Error('its reason'); } });`,
    );
  const again = (root: string) => async (project: string, files: readonly string[]) => [
    await runJest(root, project, ['--runTestsByPath', ...files]),
  ];

  test('counts what passes then as passed, and keeps what it said', async () => {
    const root = unsteady(join(folder, 'been-here'));
    const first = await runJest(root, 'unsteady');
    expect(first).toMatchObject({ passed: 1, failed: [expect.stringContaining('its reason')] });
    const looked = await lookAgain([first], again(root));
    expect(looked).toMatchObject([{ passed: 2, failed: [], unsteady: [expect.stringContaining('its reason')] }]);
    const { lines, exitCode } = summaryOf(looked, [], true);
    expect(exitCode).toBe(0);
    expect(lines).toEqual([
      expect.stringMatching(/^unsteady .*: unsteady: b\nError: its reason/),
      '2 passed, 0 failed, 0 skipped',
    ]);
  });

  test('leaves a failure that stays', async () => {
    const root = specs('failing', `test('a', () => {}); test('b', () => { throw new Error('its reason'); });`);
    const first = await runJest(root, 'failing');
    expect(await lookAgain([first], again(root))).toEqual([first]);
  });

  test('is not taken at many files, nor at what no file is to blame for', async () => {
    const never = () => Promise.reject(new Error('it was run again'));
    const failing = (project: string, count: number): Results => {
      const files = Array.from({ length: count }, (_, n) => `${n}.spec.ts`);
      return { project, passed: 1, failed: ['a'], skipped: [], again: { files, passed: 0 } };
    };
    const many = [failing('x', 2), failing('y', 2)];
    expect(await lookAgain(many, never)).toEqual(many);
    const leaking = [failing('x', 1), { project: 'y', passed: 1, failed: ['still open'], skipped: [] }];
    expect(await lookAgain(leaking, never)).toEqual(leaking);
  });
});

describe('the summary', () => {
  const fine = { project: 'x', passed: 2, failed: [], skipped: [] };
  const skipping = { project: 'y', passed: 1, failed: [], skipped: ['Keycloak 26 cannot be had: no Java'] };

  test('ends with the counts', () => {
    expect(summaryOf([fine], [], true)).toEqual({ lines: ['2 passed, 0 failed, 0 skipped'], exitCode: 0 });
  });

  test('names what is skipped, and fails it under CI=true', () => {
    const { lines, exitCode } = summaryOf([fine, skipping], [], false);
    expect(lines).toEqual(['skipped: y: Keycloak 26 cannot be had: no Java', '3 passed, 0 failed, 1 skipped']);
    expect(exitCode).toBe(0);
    expect(summaryOf([fine, skipping], [], true).exitCode).toBe(1);
  });

  test('says of each failure where it was and why', () => {
    const { lines, exitCode } = summaryOf([{ ...fine, failed: ['b\nError: its reason'] }], [], false);
    expect(lines).toEqual(['failed: x: b\nError: its reason', '2 passed, 1 failed, 0 skipped']);
    expect(exitCode).toBe(1);
  });

  test('counts a failed check', () => {
    const { lines, exitCode } = summaryOf([fine], ['lint'], false);
    expect(lines.at(-1)).toBe('2 passed, 1 failed, 0 skipped');
    expect(exitCode).toBe(1);
  });
});
