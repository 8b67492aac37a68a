import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PosternError } from '../errors.ts';
import { readSettings } from './settings.ts';

let folder: string;
const at = (name: string) => join(folder, name);
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-settings-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const guide = {
  KEYCLOAK_SERVER_URL: 'http://localhost:8002',
  KEYCLOAK_REALM: 'authentication-demo',
  KEYCLOAK_CLIENT_ID: 'authentication-demo',
  KEYCLOAK_CLIENT_SECRET: 'canary',
  KEYCLOAK_AUDIENCE: 'authentication-demo',
};
const refused = (env: Record<string, string>): PosternError => {
  try {
    readSettings(env, at('none'));
  } catch (error) {
    if (error instanceof PosternError) return error;
  }
  throw new Error('not refused');
};

test('the guide’s names, with and without an audience', () => {
  expect(readSettings(guide, at('none'))).toEqual({
    kind: 'keycloak',
    serverUrl: 'http://localhost:8002',
    realm: 'authentication-demo',
    clientId: 'authentication-demo',
    clientSecret: 'canary',
    audience: 'authentication-demo',
  });
  const { KEYCLOAK_AUDIENCE: _, ...without } = guide;
  expect(readSettings(without, at('none'))).not.toHaveProperty('audience');
});

test('a .env file fills in, and the environment wins; a secret may come by file', () => {
  const lines = Object.entries({ ...guide, KEYCLOAK_REALM: 'from-file' }).map(([name, value]) => `${name}="${value}"`);
  writeFileSync(at('.env'), `# comment\n${lines.join('\n')}\n`);
  writeFileSync(at('secret'), 'from-secret-file\n');
  expect(readSettings({}, at('.env'))).toMatchObject({ realm: 'from-file' });
  expect(readSettings({ KEYCLOAK_REALM: 'from-env' }, at('.env'))).toMatchObject({ realm: 'from-env' });
  const { KEYCLOAK_CLIENT_SECRET: _, ...rest } = guide;
  expect(readSettings({ ...rest, KEYCLOAK_CLIENT_SECRET_FILE: at('secret') }, at('none'))).toMatchObject({
    clientSecret: 'from-secret-file',
  });
});

test('all that is missing stands in one error, with a stable code and without a value', () => {
  const error = refused({ KEYCLOAK_CLIENT_SECRET: 'canary' });
  expect(error.code).toBe('missing_configuration');
  expect(error.message).toContain('KEYCLOAK_SERVER_URL, KEYCLOAK_REALM, KEYCLOAK_CLIENT_ID');
  expect(error.message).not.toMatch(/canary|KEYCLOAK_CLIENT_SECRET/);
  expect(refused({ POSTERN_TOKEN_EXCHANGE_URL: 'https://x' }).message).toContain(
    'POSTERN_TLS_CA_PATH, POSTERN_TLS_CERT_PATH, POSTERN_TLS_KEY_PATH',
  );
  expect(refused({ POSTERN_TOKEN_EXCHANGE_URL: 'https://x', POSTERN_CLIENT_ID: 'job' }).message).toContain(
    'POSTERN_TLS_CA_PATH, POSTERN_CLIENT_KEY_PATH',
  );
  expect(refused({ KEYCLOAK_CLIENT_SECRET_FILE: at('gone') }).code).toBe('missing_configuration');
});
