import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { describeWith, realPart } from '@postern/testing';
import { readmeWithValues } from '../src/values-table.ts';
import { place } from '../src/place.ts';
import { settingNames } from '../src/setting-names.ts';
import { valuesJsonSchema } from '../src/values.ts';
import { faultsOf } from './faults-of.ts';
import { helmProgram, lint, render, type KubernetesObject } from '../src/helm.ts';
import { modelModule, unknownFields } from './known-fields.ts';
import { matrix, refused } from '../src/matrix.ts';

const root = join(import.meta.dirname, '../../..');
const program = await realPart('Helm', helmProgram);

test('the schema of the values and their table are those of src/values.ts', () => {
  const written = JSON.parse(readFileSync(place('postern/values.schema.json'), 'utf8')) as object;
  expect(written).toEqual(JSON.parse(JSON.stringify(valuesJsonSchema())));
  expect(readFileSync(place('README.md'), 'utf8')).toBe(readmeWithValues());
});

test('the settings that values may give are those of the services', async () => {
  expect(JSON.parse(readFileSync(place('postern/settings.json'), 'utf8'))).toEqual(await settingNames());
});

test('the chart has the version of the repository', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const chart = readFileSync(place('postern/Chart.yaml'), 'utf8');
  expect(chart).toContain(`\nversion: ${version}\n`);
  expect(chart).toContain(`\nappVersion: ${version}\n`);
});

describeWith(program, 'the chart', (helmPath) => {
  // Of all of them at once: the types of the models are read once, and what a kind takes does not depend on its neighbours.
  const rendered = new Map<string, KubernetesObject[]>();
  beforeAll(async () => {
    const all = matrix.map(async ([name, files, values]) => rendered.set(name, await render(helmPath, files, values)));
    await Promise.all(all);
  });

  test('renders no field that the Kubernetes API does not know', () => {
    expect([...rendered.values()].every((objects) => objects.length > 20)).toBe(true);
    expect(unknownFields([...rendered.values()].flat())).toEqual([]);
  });

  describe.each(matrix)('%s', (name, files, values) => {
    test('passes helm lint', async () => {
      expect(await lint(helmPath, files, values)).toContain('0 chart(s) failed');
    });

    test('renders objects that the Kubernetes API takes', async () => {
      for (const object of rendered.get(name)!) await validate(object);
    });

    test('has none of the faults that no schema sees', () => {
      expect(faultsOf(rendered.get(name)!)).toEqual([]);
    });
  });

  test.each(refused)('stops at template time, by its name: %s', async (_what, values, names) => {
    const [, files, good] = matrix[0]!;
    const attempt = render(helmPath, files, { ...good, ...values });
    await expect(attempt).rejects.toThrow(names);
  });
});

/** The API's own schema of this kind. @throws with what it has against the object */
async function validate(object: KubernetesObject): Promise<void> {
  const models = (await import(modelModule(object))) as Record<string, new (object: KubernetesObject) => Model>;
  const Kind = models[object.kind];
  if (Kind === undefined) throw new Error(`no model of ${object.apiVersion} ${object.kind}`);
  new Kind(object).validate();
}
type Model = { validate(): void };
