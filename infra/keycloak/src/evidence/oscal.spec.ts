import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { expect, test } from '@jest/globals';
import { Ajv, type AnySchema } from 'ajv';

import { readDocument } from '../document/read-document.ts';
import { hashOf, type Assessed } from './assess.ts';
import { controls } from './controls.ts';
import { assessmentResults, componentDefinition } from './oscal.ts';

const published = (name: string) => readFileSync(new URL(`../../test/oscal/${name}`, import.meta.url), 'utf8');

/** NIST's schema; its `$id`s inside are anchors of an older draft, and every `$ref` is a whole pointer or such an anchor. */
function validator(name: string) {
  const schema = JSON.parse(published(name)) as { $id?: string };
  delete schema.$id;
  return new Ajv({ strict: false, validateFormats: false, unicodeRegExp: true }).compile(schema as AnySchema);
}

const document = readDocument(
  `[app]\nname = "shop"\nprofile = "fedramp-low"\n[keycloak]\nhostname = "a.example"\n[keycloak.realm.shop]\n[keycloak.realm.shop.overrides]\npassword_min_length = 6\n` +
    `[[waiver]]\nkey = "keycloak.realm.shop.overrides.password_min_length"\nreason = "the old directory"\napproved_by = "An officer"\nexpires = "2026-06-01"\n`,
  { file: 'postern.toml', now: new Date('2026-01-01') },
);
const at = { start: '2026-01-01T00:00:00.000Z', end: '2026-01-01T00:00:05.000Z' };
const results: Assessed[] = controls.map(({ id, title, setting }, number) => {
  const result = {
    realm: 'shop',
    control: id,
    title,
    setting,
    satisfied: number % 2 === 0,
    observed: ['seen', 'more'],
    at: at.end,
  };
  return { ...result, hash: hashOf('', result) };
});

test('the schemas are those that were published', () => {
  const readme = published('README.md');
  for (const name of ['oscal_assessment-results_schema.json', 'oscal_component_schema.json'])
    expect(readme).toContain(`\`${name}\`, SHA-256 \`${createHash('sha256').update(published(name)).digest('hex')}\``);
});

test('the component definition is one of OSCAL, deviations and waivers in it', () => {
  const valid = validator('oscal_component_schema.json');
  const written = componentDefinition(document, at.end);
  valid(written);
  expect(valid.errors).toBeNull();
  expect(JSON.stringify(written)).toContain('waived until 2026-06-01');
  expect(valid({ ...written, 'component-definition': { ...written['component-definition'], uuid: 'none' } })).toBe(
    false,
  );
});

test('the assessment results are those of OSCAL', () => {
  const valid = validator('oscal_assessment-results_schema.json');
  const written = assessmentResults(document, results, at);
  valid(written);
  expect(valid.errors).toBeNull();
  const { results: found } = written['assessment-results'];
  expect(
    valid({ 'assessment-results': { ...written['assessment-results'], results: [{ ...found[0], start: 'now' }] } }),
  ).toBe(false);
});
