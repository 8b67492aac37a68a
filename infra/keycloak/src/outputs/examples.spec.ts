import { readdirSync, readFileSync } from 'node:fs';

import { expect, test } from '@jest/globals';
import { type AnySchema } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse as parseYaml } from 'yaml';

import { modelsOf } from '../document/model-of.ts';
import { readDocument } from '../document/read-document.ts';
import { documentJsonSchema } from '../document/schema.ts';
import { readToml } from '../document/toml.ts';
import { compileRealm } from '../realm/compile.ts';
import { serverEnvironment } from './env.ts';
import { outputs } from './index.ts';

const folder = new URL('../../examples/', import.meta.url);
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.toml'))
  .sort();
const text = (file: string) => readFileSync(new URL(file, folder), 'utf8');
const read = (file: string) => readDocument(text(file), { file, now: new Date() });
const ajv = new Ajv2020({ strict: false, validateFormats: false });
const published = ajv.compile(documentJsonSchema() as AnySchema);

test.each(files)('the example %s may be used, and the published schema takes it', (file) => {
  expect(read(file).findings.filter(({ severity }) => severity === 'high')).toEqual([]);
  for (const model of modelsOf(read(file))) expect(compileRealm(model).realm).toBe(model.name);
  published(readToml(text(file), file).value);
  expect(published.errors).toBeNull();
});

test('topology 1, embedded: PostgreSQL stands beside the server', () => {
  const compose = parseYaml(outputs.compose(read('fedramp-low/postern.toml'))[0]?.text ?? '') as {
    services: Record<string, unknown>;
  };
  expect(Object.keys(compose.services).sort()).toEqual(['keycloak', 'postgres']);
});

test('topology 3, cluster: three servers, discovery over the database, sessions on two, links encrypted', () => {
  const document = read('keycloak-ha/postern.toml');
  expect(serverEnvironment(document)).toMatchObject({
    KC_CACHE: 'ispn',
    KC_CACHE_STACK: 'jdbc-ping',
    KC_CACHE_EMBEDDED_MTLS_ENABLED: 'true',
    KC_SPI_CACHE_EMBEDDED_DEFAULT_SESSIONS_OWNERS: '2',
    KC_DB_URL: expect.stringContaining('sslmode=verify-full'),
    JAVA_OPTS_KC_HEAP: '-Xms4g -Xmx4g',
  });
  const [values, rotation] = outputs.helm(document).map(({ text }) => parseYaml(text) as unknown);
  expect(values).toMatchObject({ replicas: 3, stickyRoutes: true });
  expect(rotation).toMatchObject({ kind: 'CronJob', spec: { schedule: '10 5 * * *', concurrencyPolicy: 'Forbid' } });
  const services = (parseYaml(outputs.compose(document)[0]?.text ?? '') as { services: Record<string, object> })
    .services;
  expect(Object.keys(services)).toEqual(['keycloak-1', 'keycloak-2', 'keycloak-3']);
});

test("an application whose provider is deployed elsewhere gets that provider's addresses", () => {
  expect(outputs.typescript(read('keycloak-standalone/app1.toml'))[0]?.text).toContain(
    'https://auth.myorg.example/realms/app1/protocol/openid-connect/token',
  );
  expect(() => outputs.keycloak(read('keycloak-standalone/app1.toml'))).toThrow(/deploys no Keycloak/);
});

test('SC-8, SC-13: TLS 1.3 first, 1.2 only with the suites of FIPS, and client certificates asked for', () => {
  const environment = serverEnvironment(read('keycloak-standalone/postern.toml'));
  expect(environment).toMatchObject({
    KC_HTTPS_PROTOCOLS: 'TLSv1.3,TLSv1.2',
    KC_HTTPS_CLIENT_AUTH: 'request',
    KC_FIPS_MODE: 'strict',
    KC_SPI_PASSWORD_HASHING__PBKDF2_SHA512__MAX_PADDING_LENGTH: '14',
    KC_HTTP_ENABLED: 'false',
  });
  for (const suite of environment['KC_HTTPS_CIPHER_SUITES']?.split(',') ?? [])
    expect(suite).toMatch(/AES_(128|256)_GCM/);
});
