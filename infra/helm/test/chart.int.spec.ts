import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { describeWith, realPart } from '@postern/testing';
import { readmeWithValues } from '../src/values-table.ts';
import { place } from '../src/place.ts';
import { valuesJsonSchema } from '../src/values.ts';
import { faultsOf } from './faults-of.ts';
import { helm, helmProgram, KUBERNETES, render, type KubernetesObject } from './helm.ts';
import { modelModule, unknownFields } from './known-fields.ts';
import { matrix, refused } from './matrix.ts';

const root = join(import.meta.dirname, '../../..');
const program = await realPart('Helm', helmProgram);

test('the schema of the values and their table are those of src/values.ts', () => {
  const written = JSON.parse(readFileSync(place('postern/values.schema.json'), 'utf8')) as object;
  expect(written).toEqual(JSON.parse(JSON.stringify(valuesJsonSchema())));
  expect(readFileSync(place('README.md'), 'utf8')).toBe(readmeWithValues());
});

test('the chart has the version of the repository', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const chart = readFileSync(place('postern/Chart.yaml'), 'utf8');
  expect(chart).toContain(`\nversion: ${version}\n`);
  expect(chart).toContain(`\nappVersion: ${version}\n`);
});

describeWith(program, 'the chart', (helmPath) => {
  test.each(matrix)('passes helm lint: %s', async (_name, files, values) => {
    // Not --strict: Helm calls the missing icon a finding.
    const given = files.flatMap((file) => ['--values', place(`examples/${file}`)]);
    const output = await helm(
      helmPath,
      'lint',
      place('postern'),
      ...KUBERNETES,
      ...given,
      '--set-json',
      jsonSets(values),
    );
    expect(output).toContain('0 chart(s) failed');
  });

  describe.each(matrix)('%s', (_name, files, values) => {
    let objects: KubernetesObject[];
    beforeAll(async () => {
      objects = await render(helmPath, files, values);
    });

    test('renders objects that the Kubernetes API takes, with no field that it does not know', async () => {
      expect(objects.length).toBeGreaterThan(20);
      for (const object of objects) await validate(object);
      expect(unknownFields(objects)).toEqual([]);
    });

    test('has none of the faults that no schema sees', () => {
      expect(faultsOf(objects)).toEqual([]);
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

const jsonSets = (values: object): string =>
  Object.entries(values)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(',');
