import { expect, test } from '@jest/globals';
import { z } from 'zod';
import { baseConfig, baseSettings } from './base-settings.ts';
import { assertEnvironment, DEVELOPMENT_TRUST_DOMAIN, type EnvironmentFacts } from './environment.ts';
import { ConfigurationError, parseSettings, setting } from './setting.ts';

const env = (more: Record<string, string> = {}) => ({
  POSTERN_TLS_CERT_PATH: '/nowhere/tls.crt',
  POSTERN_TLS_KEY_PATH: '/nowhere/tls.key',
  POSTERN_TLS_CA_PATH: '/nowhere/ca.crt',
  POSTERN_TRUST_PATH: '/nowhere/trust.json',
  ...more,
});
const base = (more: Record<string, string> = {}) => baseConfig(parseSettings(baseSettings, env(more)));

const good = (): EnvironmentFacts => ({
  base: base(),
  env: env(),
  trust: {
    trustDomain: 'prod.example',
    issuers: [{ issuer: 'https://idp.example/realms/a', jwksUri: 'https://idp.example/keys' }],
    revocations: [{}],
  },
  urls: { POSTERN_AUDIT_SINK_URL: 'https://audit-sink.example:8443' },
  rootKey: { kind: 'aws-kms' },
  now: () => new Date('2026-11-21T12:00:00Z'),
});

/** The names that are complained of. */
function refused(facts: EnvironmentFacts): string[] {
  try {
    assertEnvironment(facts);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return error.mistakes.map((mistake) => mistake.split(':')[0] ?? '');
  }
}

test('a production environment without a development part starts (R6)', () => {
  expect(refused(good())).toEqual([]);
});

test.each<[string, Partial<EnvironmentFacts>, string]>([
  [
    'the development trust domain',
    { trust: { trustDomain: DEVELOPMENT_TRUST_DOMAIN, issuers: [] } },
    'POSTERN_TRUST_PATH',
  ],
  [
    'a trust table that follows no revocations (R14)',
    { trust: { trustDomain: 'prod.example', issuers: [{ issuer: 'https://idp.example' }] } },
    'POSTERN_TRUST_PATH',
  ],
  [
    'a plain-http issuer',
    { trust: { trustDomain: 'prod.example', issuers: [{ issuer: 'http://idp.example' }], revocations: [{}] } },
    'POSTERN_TRUST_PATH issuers.0.issuer',
  ],
  [
    'keys on loopback',
    {
      trust: {
        trustDomain: 'prod.example',
        issuers: [{ issuer: 'https://i.example', jwksUri: 'https://127.0.0.1/k' }],
        revocations: [{}],
      },
    },
    'POSTERN_TRUST_PATH issuers.0.jwksUri',
  ],
  [
    'revocations from loopback',
    {
      trust: {
        trustDomain: 'prod.example',
        issuers: [{ issuer: 'https://i.example' }],
        revocations: [{ uri: 'https://127.0.0.1/v1/revocations' }],
      },
    },
    'POSTERN_TRUST_PATH revocations.0.uri',
  ],
  [
    'introspection at loopback',
    {
      trust: {
        trustDomain: 'prod.example',
        issuers: [{ issuer: 'https://i.example', introspectionUri: 'https://localhost/introspect' }],
        revocations: [{}],
      },
    },
    'POSTERN_TRUST_PATH issuers.0.introspectionUri',
  ],
  ...['localhost.', 'api.localhost', '127.1', '0x7f000001', '[::1]', '[::]', '[::ffff:127.0.0.1]'].map(
    (host): [string, Partial<EnvironmentFacts>, string] => [
      `a peer at ${host}`,
      { urls: { POSTERN_AUDIT_SINK_URL: `https://${host}:1` } },
      'POSTERN_AUDIT_SINK_URL',
    ],
  ),
  ['a loopback peer', { urls: { POSTERN_AUDIT_SINK_URL: 'https://localhost:1' } }, 'POSTERN_AUDIT_SINK_URL'],
  ['an endpoint override', { env: env({ AWS_ENDPOINT_URL_KMS: 'https://kms.example' }) }, 'AWS_ENDPOINT_URL_KMS'],
  ['unverified TLS', { env: env({ NODE_TLS_REJECT_UNAUTHORIZED: '0' }) }, 'NODE_TLS_REJECT_UNAUTHORIZED'],
  ['the local root key', { rootKey: { kind: 'local' } }, 'POSTERN_ROOT_KEY'],
  ['a waiver of yesterday', { rootKey: { kind: 'local', waiver: '2026-11-20' } }, 'POSTERN_ROOT_KEY_WAIVER'],
])('production refuses %s and names the setting (R6)', (_, facts, name) => {
  expect(refused({ ...good(), ...facts })).toEqual([name]);
});

test('a setting that only development has is refused in production, by value and by file (R6)', () => {
  const settings = { POSTERN_X: setting(z.string(), 'only in development', { developmentOnly: true }) };
  expect(refused({ ...good(), settings, env: env({ POSTERN_X: 'yes' }) })).toEqual(['POSTERN_X']);
  expect(refused({ ...good(), settings, env: env({ POSTERN_X_FILE: '/x' }) })).toEqual(['POSTERN_X']);
});

test('a dated waiver lets the local root key in through its day, but never in high (R6)', () => {
  const rootKey = { kind: 'local', waiver: '2026-11-21' };
  expect(refused({ ...good(), rootKey })).toEqual([]);
  const high = base({ POSTERN_PROFILE: 'fedramp-high', POSTERN_FIPS: 'false' });
  expect(refused({ ...good(), base: high, rootKey })).toEqual(['POSTERN_ROOT_KEY']);
});

test('development listens on loopback only, and FIPS without its provider does not start (R6)', () => {
  const everywhere = { POSTERN_ENVIRONMENT: 'development', POSTERN_LISTEN_HOST: '0.0.0.0' };
  expect(refused({ ...good(), base: base(everywhere) })).toEqual(['POSTERN_LISTEN_HOST']);
  expect(refused({ ...good(), base: base({ POSTERN_FIPS: 'true' }) })).toEqual(['POSTERN_FIPS']);
});
