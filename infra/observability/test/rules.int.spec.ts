import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { describeWith, realPart } from '@postern/testing';
import { debianProgram } from '@postern/testing/debian';
import { stringify } from 'yaml';
import { dashboards } from '../src/dashboards/index.ts';
import { place, ruleFiles } from '../src/files.ts';

const run = promisify(execFile);
const promtool = await realPart('promtool of Prometheus', () => debianProgram('promtool', { of: 'prometheus' }));

describeWith(promtool, 'Prometheus', (program) => {
  test('takes every rule', async () => {
    const { stdout } = await run(program, ['check', 'rules', ...ruleFiles().map(place)]);
    expect(stdout.match(/SUCCESS/g)).toHaveLength(ruleFiles().length);
  });

  test('takes the configuration that compose gives it', async () => {
    const { stdout } = await run(program, ['check', 'config', place('prometheus/prometheus.yml')]);
    expect(stdout).toContain(`${ruleFiles().length} rule files found`);
  });

  test('fires each alert that is tried when it should, and not before', async () => {
    const tests = (await readdir(place('prometheus/tests'))).map((name) => place(`prometheus/tests/${name}`));
    const { stdout } = await run(program, ['test', 'rules', ...tests]);
    expect(stdout.match(/SUCCESS/g)).toHaveLength(tests.length);
  });

  test('understands every query of the dashboards', async () => {
    const graphs = Object.values(dashboards).flatMap(({ graphs: all }) => all);
    const queries = graphs.filter(({ source }) => source === 'prometheus').flatMap(({ queries: own }) => own);
    const folder = await mkdtemp(join(tmpdir(), 'dashboards-'));
    try {
      const file = join(folder, 'queries.yaml');
      const rules = queries.map(({ expr }, at) => ({ record: `query:${at}`, expr }));
      await writeFile(file, stringify({ groups: [{ name: 'dashboards', rules }] }));
      const { stdout } = await run(program, ['check', 'rules', file]);
      expect(stdout).toContain(`${queries.length} rules found`);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
