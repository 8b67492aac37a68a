import { expect, test } from '@jest/globals';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { z } from 'zod';
import {
  assertEnvironment,
  baseConfig,
  baseSettings,
  ConfigurationError,
  createLogger,
  parseSettings,
  Secret,
  setting,
} from './index.ts';

const settings = {
  POSTERN_A: setting(z.coerce.number(), 'A number.'),
  POSTERN_B: setting(z.enum(['x', 'y']), 'A choice.', { default: 'x' }),
  POSTERN_C: setting(z.string(), 'A secret.', { secret: true }),
};

test('all mistakes come in one error that lists names, never values', () => {
  const error = (() => {
    try {
      parseSettings(settings, { POSTERN_A: 'canary', POSTERN_B: 'canary', POSTERN_C_FILE: '/nowhere/canary' });
    } catch (thrown) {
      return thrown as ConfigurationError;
    }
    throw new Error('it did not throw');
  })();
  expect(error.mistakes.map((one) => one.split(':')[0])).toEqual(['POSTERN_A', 'POSTERN_B', 'POSTERN_C_FILE']);
  expect(error.message).not.toContain('canary');
});

test('NAME_FILE gives the file without its last newline, and a secret prints nothing', () => {
  const file = join(mkdtempSync(join(tmpdir(), 'setting-')), 'secret');
  writeFileSync(file, 'canary\n');
  const { POSTERN_C } = parseSettings(settings, { POSTERN_A: '1', POSTERN_C_FILE: file });
  expect(POSTERN_C.reveal()).toBe('canary');
  expect(
    `${String(POSTERN_C)}${JSON.stringify({ POSTERN_C })}${inspect({ POSTERN_C }, { showHidden: true })}`,
  ).not.toContain('canary');
});

const env = {
  POSTERN_TLS_CERT_PATH: '/n',
  POSTERN_TLS_KEY_PATH: '/n',
  POSTERN_TLS_CA_PATH: '/n',
  POSTERN_TRUST_PATH: '/n',
};

test('R6: production refuses what only development has, all at once', () => {
  const base = baseConfig(parseSettings(baseSettings, env));
  const facts = {
    base,
    env: { AWS_ENDPOINT_URL_KMS: 'http://127.0.0.1:1' },
    trust: {
      trustDomain: 'dev.postern.internal',
      issuers: [{ issuer: 'http://idp', jwksUri: 'https://127.0.0.1/jwks' }],
    },
    urls: { POSTERN_X_URL: 'https://localhost:1' },
    rootKey: { kind: 'local' },
  };
  expect(() => assertEnvironment(facts)).toThrow(ConfigurationError);
  const names = [
    'POSTERN_TRUST_PATH',
    'issuers.0.issuer',
    'issuers.0.jwksUri',
    'POSTERN_X_URL',
    'AWS_ENDPOINT_URL_KMS',
    'POSTERN_ROOT_KEY',
  ];
  for (const name of names) expect(() => assertEnvironment(facts)).toThrow(name);
});

test('R6: a waiver for the local root key ends with its day, and does not exist in high', () => {
  const now = () => new Date('2026-11-21T12:00:00Z');
  const of = (profile: string, waiver: string) => () =>
    assertEnvironment({
      base: { ...baseConfig(parseSettings(baseSettings, { ...env, POSTERN_PROFILE: profile })), fips: false },
      env: {},
      rootKey: { kind: 'local', waiver },
      now,
    });
  expect(of('fedramp-moderate', '2026-11-21')).not.toThrow();
  expect(of('fedramp-moderate', '2026-11-20')).toThrow('POSTERN_ROOT_KEY_WAIVER');
  expect(of('fedramp-high', '2027-01-01')).toThrow('POSTERN_ROOT_KEY');
});

test('R6: development listens on loopback only', () => {
  const base = baseConfig(
    parseSettings(baseSettings, { ...env, POSTERN_ENVIRONMENT: 'development', POSTERN_LISTEN_HOST: '0.0.0.0' }),
  );
  expect(() => assertEnvironment({ base, env: {} })).toThrow('POSTERN_LISTEN_HOST');
});

test('the log passes listed fields only, and no text of an error or its cause', () => {
  const lines: string[] = [];
  const logger = createLogger({
    service: 'x',
    level: 'debug',
    destination: { write: (line: string) => void lines.push(line) },
  });
  const err = new SyntaxError('canary', { cause: new Error('canary') });
  logger
    .child({ body: 'canary' })
    .info({ err, token: 'canary', secret: new Secret('canary'), nested: { a: 'canary' }, route: '/x', n: 1 }, 'said');
  expect(lines[0]).not.toContain('canary');
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    service: 'x',
    route: '/x',
    n: 1,
    message: 'said',
    err: { type: 'SyntaxError' },
  });
});
