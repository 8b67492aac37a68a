import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { run } from '../src/run.ts';

const examples = fileURLToPath(new URL('../../../libs/policy/examples/', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'policy-check-'));

async function check(...argv: string[]) {
  const lines = { out: [] as string[], err: [] as string[] };
  const code = await run(['policy', 'check', ...argv], {
    out: (line) => lines.out.push(line),
    err: (line) => lines.err.push(line),
    input: async () => '',
    folder: examples,
    interactive: false,
    environment: {},
  });
  return { code, out: lines.out.join('\n'), err: lines.err.join('\n') };
}

test('a policy whose expectations hold: 0, with each of them', async () => {
  const { code, out } = await check('token-exchange-guide.json', '--checks', 'checks.json');
  expect(code).toBe(0);
  expect(out).toContain('✓ a user writes no model');
  expect(out).toMatch(/7 of 7 expectations hold$/);
});

test('an expectation that does not hold: 1, with what was expected and what the policy decides', async () => {
  const path = join(folder, 'checks.json');
  const when = {
    tenant: 'demo',
    workload: 'authentication-demo',
    subjectClient: 'authentication-demo',
    subjectKind: 'provider-access',
    person: { issuer: 'https://keycloak.example.internal/realms/authentication-demo', sub: 'alice' },
    roles: ['user'],
    audience: 'llama',
    scopes: ['llama:models:write'],
  };
  writeFileSync(path, JSON.stringify({ checks: [{ name: 'anybody writes', when, expect: { granted: when.scopes } }] }));
  const { code, out } = await check('token-exchange-guide.json', '--checks', path);
  expect(code).toBe(1);
  expect(out).toContain('✗ anybody writes: expected grants llama:models:write, decided role_missing');
});

test.each([
  ['no JSON', 'not json'],
  [
    'a name that points nowhere',
    JSON.stringify({ version: '1', tenants: [], roles: [], targets: [], scopes: [], workloads: [] }),
  ],
])('a document that is %s: 2, with its place', async (_, text) => {
  const path = join(folder, 'policy.json');
  writeFileSync(path, text);
  const { code, err, out } = await check(path);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toContain(path);
});
