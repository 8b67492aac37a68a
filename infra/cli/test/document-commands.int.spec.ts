import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { run } from '../src/run.ts';
import { brokenDocuments } from './broken-documents.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-document-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function postern(argv: readonly string[], { input = '', environment = {} as Record<string, string> } = {}) {
  const lines = { out: [] as string[], err: [] as string[] };
  const code = await run(argv, {
    out: (line) => lines.out.push(line),
    err: (line) => lines.err.push(line),
    input: async () => input,
    folder,
    interactive: false,
    environment,
  });
  return { code, out: lines.out.join('\n'), err: lines.err.join('\n') };
}

const good = `[app]
name = "myapp"
profile = "fedramp-low"

[keycloak]
hostname = "auth.myapp.com"

[keycloak.realm.myapp]
display_name = "My Application"

[keycloak.client.web]
redirect_uris = ["https://myapp.com/callback"]

[keycloak.client.web.secrets]
client_secret = "age:secrets/web.age"
`;
const write = (text = good) => writeFileSync(join(folder, 'postern.toml'), text);

describe('what is broken', () => {
  test('there are 200 of them', () => expect(brokenDocuments.length).toBeGreaterThanOrEqual(200));

  test.each(brokenDocuments)(
    '%s: exit code 2, the place and the key, and nothing written',
    async (_what, text, named) => {
      write(text);
      for (const argv of [
        ['generate', 'keycloak', '--out', 'out'],
        ['apply', '--url', 'https://127.0.0.1:1'],
      ]) {
        const { code, out, err } = await postern(argv);
        expect({ code, out, err }).toEqual({ code: 2, out: '', err: expect.stringMatching(/^postern\.toml:\d+:\d+/) });
        expect(err).toMatch(named);
        expect(err).not.toContain('hunter2');
      }
      expect(readdirSync(folder)).toEqual(['postern.toml']);
    },
  );
});

test('validate and show-config say what is in force, and why', async () => {
  write();
  expect(await postern(['validate'])).toMatchObject({
    code: 0,
    out: 'postern.toml is valid: fedramp-low, 1 realm, 1 client, 0 findings',
  });
  const { out } = await postern(['keycloak', 'show-config', 'keycloak.realm.myapp.session']);
  expect(out.split('\n')).toEqual([
    'keycloak.realm.myapp.session_idle_timeout = 30  # fedramp-low  [AC-11]',
    'keycloak.realm.myapp.session_max_lifespan = 480  # fedramp-low  [AC-12]',
  ]);
  const all = JSON.parse((await postern(['show-config', '--json'])).out) as {
    key: string;
    origin: { from: string; line?: number };
  }[];
  expect(all.find(({ key }) => key === 'keycloak.hostname')?.origin).toEqual({ from: 'document', line: 6 });
});

test('validate --json holds each problem with its place', async () => {
  write(good.replace('fedramp-low', 'fedramp-extreme').replace('hostname', 'hostnames'));
  const { code, out, err } = await postern(['validate', '--json']);
  expect(code).toBe(2);
  const { error } = JSON.parse(out) as { error: { problems: object[] } };
  expect(error).toMatchObject({ exitCode: 2, message: err });
  expect(error.problems).toContainEqual(
    expect.objectContaining({ file: 'postern.toml', line: 3, column: 1, key: 'app.profile', control: 'CM-6' }),
  );
  expect(error.problems).toContainEqual(expect.objectContaining({ line: 6, key: 'keycloak.hostnames' }));
});

test('documents come by pipe, and results go by pipe', async () => {
  const { code, out } = await postern(['generate', 'keycloak', '-f', '-'], { input: good });
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({ realm: 'myapp' });
});

test.each(['keycloak', 'env', 'typescript', 'test-script', 'nix', 'helm', 'compose'])(
  'generate %s writes its files',
  async (what) => {
    write();
    const { code, err } = await postern(['generate', what, '--out', 'generated']);
    expect(code).toBe(0);
    const files = readdirSync(join(folder, 'generated'), { recursive: true, encoding: 'utf8' });
    expect(files.length).toBeGreaterThan(0);
    expect(err).toContain('wrote generated/');
    if (what === 'test-script')
      expect(statSync(join(folder, 'generated/scripts/test-oauth2-flow.sh')).mode & 0o111).not.toBe(0);
  },
);

test('realm create and client create make a document from nothing, and refuse what it may not hold', async () => {
  expect(
    await postern(['keycloak', 'realm', 'create', '--name', 'newapp', '--profile', 'fedramp-moderate']),
  ).toMatchObject({ code: 2 });
  expect(readdirSync(folder)).toEqual([]);
  expect(
    await postern([
      'keycloak',
      'realm',
      'create',
      '--name',
      'newapp',
      '--hostname',
      'auth.newapp.com',
      '--display-name',
      'New "App"',
    ]),
  ).toMatchObject({ code: 0 });
  const client = ['keycloak', 'client', 'create', '--client-id', 'newapp-web', '--type', 'public'];
  expect(await postern([...client, '--redirect-uri', 'https://newapp.com/*'])).toMatchObject({ code: 2 });
  expect(await postern([...client, '--redirect-uri', 'https://newapp.com/callback'])).toMatchObject({ code: 0 });
  const { out } = await postern(['keycloak', 'realm', 'export', '--name', 'newapp']);
  expect(JSON.parse(out)).toMatchObject({
    displayName: 'New "App"',
    clients: [{ clientId: 'newapp-web', publicClient: true }],
  });
  const exported = await postern(['keycloak', 'client', 'export', '--client-id', 'newapp-web']);
  expect(JSON.parse(exported.out)).toMatchObject({
    issuerUrl: 'https://auth.newapp.com/realms/newapp',
    senderConstraint: 'dpop',
  });
});

test('init-secrets seals one secret for each reference, once, and prints none', async () => {
  write();
  const identity = await generateX25519Identity();
  const recipient = await identityToRecipient(identity);
  expect(await postern(['keycloak', 'init-secrets'])).toMatchObject({ code: 64 });
  const made = await postern(['keycloak', 'init-secrets', '--recipient', recipient]);
  expect(made).toMatchObject({ code: 0, out: 'age:secrets/web.age: made' });
  const file = join(folder, 'secrets/web.age');
  const sealed = readFileSync(file, 'utf8');
  expect(sealed).toContain('BEGIN AGE ENCRYPTED FILE');
  expect(statSync(file).mode & 0o077).toBe(0);
  expect(await postern(['keycloak', 'init-secrets', '--recipient', recipient])).toMatchObject({
    out: expect.stringContaining('left alone'),
  });
  expect(readFileSync(file, 'utf8')).toBe(sealed);
});

test.each([
  [['generate', 'nothing'], 64, 'there are keycloak'],
  [['generate', 'keycloak', '-f', 'missing.toml'], 66, 'missing.toml cannot be read: there is no such file or folder'],
  [['generate', 'keycloak', '-f', '.'], 66, 'it is a folder'],
  [['generate', 'keycloak', '--out', 'postern.toml/x'], 73, 'a part of the path is no folder'],
  [['show-config', 'keycloak.realms'], 64, 'no key of the document begins with keycloak.realms'],
  [['apply', '--realm', 'nobody'], 64, 'it has myapp'],
  [['keycloak', 'realm', 'diff', '--name', 'nobody'], 64, 'it has myapp'],
  [['keycloak', 'client', 'export'], 64, '--client-id ID'],
  [['apply', '--plan'], 78, 'KEYCLOAK_ADMIN_PASSWORD'],
  [['apply', '--plan', '--url', 'http://127.0.0.1:1'], 64, 'https://'],
  [['keycloak', 'client', 'export', '--client-id', 'nobody'], 64, 'no such client'],
  [['keycloak', 'realm', 'export', '--name', 'nobody'], 64, 'myapp'],
])('%j ends with %i and says why', async (argv, exitCode, said) => {
  write();
  const { code, err } = await postern(argv);
  expect(code).toBe(exitCode);
  expect(err).toContain(said);
});

test('a server that does not answer is 69, and an import of what is no realm is 2', async () => {
  write();
  const environment = { KEYCLOAK_ADMIN_PASSWORD: 'x' };
  expect(await postern(['apply', '--plan', '--url', 'https://127.0.0.1:1'], { environment })).toMatchObject({
    code: 69,
    err: '127.0.0.1:1 does not answer: nothing listens there',
  });
  expect(
    await postern(['keycloak', 'realm', 'import', '--url', 'https://127.0.0.1:1'], { environment, input: '{}' }),
  ).toMatchObject({ code: 2 });
});
