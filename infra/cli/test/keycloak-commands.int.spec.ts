import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { developmentCa, describeWith, realPart } from '@postern/testing';
import { keycloakDistribution, startKeycloak, type RunningKeycloak } from '@postern/testing/keycloak';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { run } from '../src/run.ts';

const START_MS = 300_000;
const part = await realPart('Keycloak 26', keycloakDistribution);

const documentText = `[app]
name = "shop"
profile = "fedramp-low"

[keycloak]
hostname = "auth.shop.example"

[keycloak.observability]
enable = false

[keycloak.realm.shop]
display_name = "The shop"

[keycloak.client.api]
kind = "worker"

[keycloak.client.api.secrets]
client_secret = "age:api.age"

[keycloak.client.web]
type = "public"
redirect_uris = ["https://shop.example/callback"]
`;

describeWith(part, 'postern and a real Keycloak', () => {
  let keycloak: RunningKeycloak;
  let folder: string;
  let recipient: string;

  async function postern(argv: readonly string[], input = '') {
    const lines = { out: [] as string[], err: [] as string[] };
    const code = await run(argv, {
      out: (line) => lines.out.push(line),
      err: (line) => lines.err.push(line),
      input: async () => input,
      folder,
      interactive: false,
      environment: {
        KEYCLOAK_ADMIN_PASSWORD: keycloak.administrator.password,
        SOPS_AGE_KEY_FILE: join(folder, 'identity.txt'),
      },
    });
    return { code, out: lines.out.join('\n'), err: lines.err.join('\n') };
  }
  const live = (...argv: string[]) =>
    postern([...argv, '--url', keycloak.url, '--ca', 'ca.crt', '--username', keycloak.administrator.username]);
  const secretOf = (clientId: string, secret: string) =>
    fetchToken({ grant_type: 'client_credentials', client_id: clientId, client_secret: secret });
  const fetchToken = async (form: Record<string, string>) => {
    const { Agent, request } = await import('undici');
    const agent = new Agent({ connect: { ca: readFileSync(join(folder, 'ca.crt'), 'utf8') } });
    try {
      const answer = await request(`${keycloak.issuer('shop')}/protocol/openid-connect/token`, {
        dispatcher: agent,
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams(form).toString(),
      });
      await answer.body.dump();
      return answer.statusCode;
    } finally {
      await agent.close();
    }
  };
  const asked = async <T>(url: string, form?: Record<string, string>): Promise<T> => {
    const { Agent, request } = await import('undici');
    const agent = new Agent({ connect: { ca: readFileSync(join(folder, 'ca.crt'), 'utf8') } });
    try {
      const answer = await request(url, {
        dispatcher: agent,
        ...(form ? { method: 'POST', body: new URLSearchParams(form).toString() } : {}),
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      });
      return (await answer.body.json()) as T;
    } finally {
      await agent.close();
    }
  };
  /** The ids of the keys that tokens may be verified with. */
  const keySet = async () => {
    const { keys } = await asked<{ keys: { kid: string; use: string }[] }>(
      `${keycloak.issuer('shop')}/protocol/openid-connect/certs`,
    );
    return keys.filter(({ use }) => use === 'sig').map(({ kid }) => kid);
  };
  /** The key that a new token is signed with. */
  const signingKey = async () => {
    const { access_token: token } = await asked<{ access_token: string }>(
      `${keycloak.issuer('shop')}/protocol/openid-connect/token`,
      { grant_type: 'client_credentials', client_id: 'api', client_secret: await opened('api.age') },
    );
    return (JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as { kid: string }).kid;
  };
  /** What administrators did, as audit-sink reads it. */
  const adminEvents = async (resourceType: string) => {
    const { openKeycloakAdmin } = await import('@postern/keycloak');
    const admin = openKeycloakAdmin({
      url: keycloak.url,
      ca: readFileSync(join(folder, 'ca.crt'), 'utf8'),
      ...keycloak.administrator,
    });
    try {
      return await admin.get<{ operationType: string }[]>(`/shop/admin-events?resourceTypes=${resourceType}`);
    } finally {
      await admin.close();
    }
  };
  const opened = async (file: string) => {
    const { armor, Decrypter } = await import('age-encryption');
    const decrypter = new Decrypter();
    decrypter.addIdentity(readFileSync(join(folder, 'identity.txt'), 'utf8').trim());
    return decrypter.decrypt(armor.decode(readFileSync(join(folder, file), 'utf8')), 'text');
  };

  beforeAll(async () => {
    const tls = await developmentCa().issue('identity-provider');
    folder = mkdtempSync(join(tmpdir(), 'postern-shop-'));
    const identity = await generateX25519Identity();
    recipient = await identityToRecipient(identity);
    writeFileSync(join(folder, 'identity.txt'), identity, { mode: 0o600 });
    writeFileSync(join(folder, 'ca.crt'), tls.ca);
    writeFileSync(join(folder, 'postern.toml'), documentText);
    keycloak = await startKeycloak({ tls, realms: [] });
  }, START_MS);
  afterAll(async () => {
    await keycloak?.close();
    rmSync(folder, { recursive: true, force: true });
  }, START_MS);

  test('from a document to a live realm: what is planned is made, then nothing is left to do', async () => {
    expect(await postern(['keycloak', 'init-secrets', '--recipient', recipient])).toMatchObject({ code: 0 });
    expect(await live('apply', '--plan')).toMatchObject({ code: 3, out: '+ shop: realm shop (document)' });
    expect(await live('verify')).toMatchObject({ code: 1 });
    expect(await live('apply')).toMatchObject({ code: 0 });
    expect(await live('apply', '--plan')).toMatchObject({ code: 0, out: 'realm shop: nothing to do' });
    expect(await live('keycloak', 'realm', 'diff')).toMatchObject({ code: 0 });
    expect(await secretOf('api', await opened('api.age'))).toBe(200);
  });

  test('a document that says something else is a plan with the values, before and after', async () => {
    writeFileSync(join(folder, 'postern.toml'), documentText.replace('The shop', 'Another shop'));
    const { code, out } = await live('apply', '--plan');
    expect({ code, out: out.split('\n') }).toEqual({
      code: 3,
      out: ['~ shop: realm shop (document)', '    displayName: "The shop" -> "Another shop"'],
    });
    writeFileSync(join(folder, 'postern.toml'), documentText);
  });

  test('a rotated secret works at once, the old one no more; none is printed, each is an event of the administrators', async () => {
    const rotate = (...more: string[]) =>
      live('keycloak', 'client', 'rotate-secret', '--recipient', recipient, ...more);
    const before = await opened('api.age');
    expect(await rotate('--client-id', 'api')).toMatchObject({
      code: 0,
      out: 'api: has a new secret, sealed in age:api.age',
    });
    const after = await opened('api.age');
    expect([await secretOf('api', before), await secretOf('api', after)]).toEqual([401, 200]);

    expect(await rotate('--all', '--when-older-than', '90')).toMatchObject({
      out: 'api: its secret is due in 90 days',
    });
    expect(await opened('api.age')).toBe(after);
    // Kept for a server that has the feature; this one has not, and refuses the secret before.
    await rotate('--all', '--overlap', '24');
    expect([await secretOf('api', after), await secretOf('api', await opened('api.age'))]).toEqual([401, 200]);
    expect(await live('apply', '--plan')).toMatchObject({ code: 0, out: 'realm shop: nothing to do' });

    expect(await rotate()).toMatchObject({ code: 64 });
    expect(await rotate('--all', '--client-id', 'api')).toMatchObject({ code: 64 });
    expect(await rotate('--client-id', 'api', '--overlap', 'long')).toMatchObject({ code: 64 });
    expect(await rotate('--client-id', 'web')).toMatchObject({ code: 1 });
    const changes = await adminEvents('CLIENT');
    expect(changes.filter(({ operationType }) => operationType === 'UPDATE').length).toBeGreaterThanOrEqual(2);
  });

  test('signing keys: published, then signing, then gone; tokens of the old key are verified until then; the document has nothing to do', async () => {
    const rotate = async (...more: string[]) =>
      JSON.parse(
        (await live('keycloak', 'realm', 'rotate-keys', '--json', '--when-older-than', '0', ...more)).out,
      ) as unknown;
    const step = (done: string) => [{ realm: 'shop', key: 'ecdsa-generated', done }];
    expect(await live('keycloak', 'realm', 'rotate-keys')).toMatchObject({ code: 0, out: 'nothing is due' });
    const first = await signingKey();

    expect(await rotate()).toEqual(step('published'));
    expect(await rotate()).toEqual([]);
    expect(await signingKey()).toBe(first);
    const published = await keySet();
    expect(published).toHaveLength(2);

    expect(await rotate('--publish', '0', '--keep', '1')).toEqual(step('signs'));
    const second = await signingKey();
    expect(second).not.toBe(first);
    expect(published).toContain(second);
    expect(await keySet()).toEqual(expect.arrayContaining([first, second]));
    expect(await live('apply', '--plan')).toMatchObject({ code: 0, out: 'realm shop: nothing to do' });
    // The key before it verifies for its hour: nothing is done meanwhile.
    expect(await rotate('--publish', '0')).toEqual([]);

    const { openKeycloakAdmin, rotateKeys } = await import('@postern/keycloak');
    const admin = openKeycloakAdmin({
      url: keycloak.url,
      ca: readFileSync(join(folder, 'ca.crt'), 'utf8'),
      ...keycloak.administrator,
    });
    const later = { olderThanDays: 365, publishHours: 24, keepHours: 24, now: () => new Date(Date.now() + 7_200_000) };
    expect(await rotateKeys(admin, 'shop', later)).toEqual([{ key: 'ecdsa-generated', done: 'removed' }]);
    await admin.close();
    expect(await keySet()).toEqual([second]);
    expect((await adminEvents('COMPONENT')).map(({ operationType }) => operationType)).toEqual(
      expect.arrayContaining(['CREATE', 'UPDATE', 'DELETE']),
    );
  });

  test('each control is verified, and the evidence is a chain: OSCAL and a report', async () => {
    const verified = await live('verify', '--json');
    const results = JSON.parse(verified.out) as { control: string; satisfied: boolean; observed: string[] }[];
    expect(results.filter(({ satisfied }) => !satisfied)).toEqual([]);
    expect(results.map(({ control }) => control)).toEqual(expect.arrayContaining(['AC-7', 'IA-2(1)', 'SC-8', 'SC-23']));
    expect(verified.code).toBe(0);

    expect(await live('evidence')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^26 of 26 checks satisfied; chain head [0-9a-f]{64}$/),
    });
    const { createHash } = await import('node:crypto');
    const hash = (text: string) => createHash('sha256').update(text).digest('hex');
    const sums = readFileSync(join(folder, 'evidence', 'SHA256SUMS'), 'utf8');
    for (const line of sums.trim().split('\n')) {
      const [sum, name = ''] = line.split('  ');
      expect(hash(readFileSync(join(folder, 'evidence', name), 'utf8'))).toBe(sum);
    }
    expect(JSON.parse(readFileSync(join(folder, 'evidence', 'record.json'), 'utf8'))).toEqual({
      subject: 'shop',
      sha256: hash(sums),
      checks: 26,
      satisfied: 26,
    });
    const read = (name: string) => readFileSync(join(folder, 'evidence', name), 'utf8');
    expect(JSON.parse(read('assessment-results.json'))).toMatchObject({
      'assessment-results': {
        results: [
          {
            findings: expect.arrayContaining([
              expect.objectContaining({
                target: expect.objectContaining({ 'target-id': 'ac-7_obj', status: { state: 'satisfied' } }),
              }),
            ]),
          },
        ],
      },
    });
    expect(JSON.parse(read('component-definition.json'))).toHaveProperty('component-definition.components');
    expect(read('report.html')).toContain('26 of 26 checks satisfied');
  });

  test('a lockout switched off by hand is found: AC-7 is not satisfied, and nothing else but the baseline', async () => {
    const { openKeycloakAdmin } = await import('@postern/keycloak');
    const admin = openKeycloakAdmin({
      url: keycloak.url,
      ca: readFileSync(join(folder, 'ca.crt'), 'utf8'),
      ...keycloak.administrator,
    });
    await admin.put('/shop', { bruteForceProtected: false });
    await admin.close();
    const { code, out } = await live('verify', '--json');
    const failed = (JSON.parse(out) as { control: string; satisfied: boolean }[]).filter(({ satisfied }) => !satisfied);
    expect({ code, failed: failed.map(({ control }) => control) }).toEqual({
      code: 1,
      failed: ['AC-7', 'CM-2', 'CM-6'],
    });
    expect(await live('keycloak', 'realm', 'diff')).toMatchObject({ code: 3, out: expect.stringContaining('(drift)') });
    expect(await live('apply')).toMatchObject({ code: 0 });
  });

  test('users come in once, with a password to choose; a broken list changes nothing', async () => {
    const users = JSON.stringify([
      { username: 'ann', email: 'ann@shop.example', firstName: 'Ann', lastName: 'Buyer' },
      { username: 'ben' },
    ]);
    const bring = (text: string) =>
      postern(
        [
          'keycloak',
          'users',
          'import',
          '--realm',
          'shop',
          '--url',
          keycloak.url,
          '--ca',
          'ca.crt',
          '--username',
          keycloak.administrator.username,
        ],
        text,
      );
    expect(await bring(JSON.stringify([{ username: 'carl' }, { username: 'd', password: 'hunter2' }]))).toMatchObject({
      code: 2,
      err: 'user 1: password is not taken',
    });
    expect(await bring(users)).toMatchObject({ code: 0, out: '2 users added, 0 were there already' });
    expect(await bring(users)).toMatchObject({ code: 0, out: '0 users added, 2 were there already' });
  });

  test('a sealed backup makes the realm again, with its users and its clients’ secrets', async () => {
    expect(await live('keycloak', 'backup', '--out', 'backup.age', '--recipient', recipient)).toMatchObject({
      code: 0,
    });
    expect(readFileSync(join(folder, 'backup.age')).includes('shop')).toBe(false);
    expect(await live('keycloak', 'restore', 'backup.age')).toMatchObject({
      code: 1,
      out: 'realm shop: is there already, left alone',
    });
    const { openKeycloakAdmin } = await import('@postern/keycloak');
    const admin = openKeycloakAdmin({
      url: keycloak.url,
      ca: readFileSync(join(folder, 'ca.crt'), 'utf8'),
      ...keycloak.administrator,
    });
    await admin.delete('/shop');
    expect(await live('keycloak', 'restore', 'backup.age')).toMatchObject({ code: 0, out: 'realm shop: restored' });
    admin.renew();
    expect((await admin.get<{ username: string }[]>('/shop/users')).map(({ username }) => username)).toEqual(
      expect.arrayContaining(['ann', 'ben']),
    );
    await admin.close();
    expect(await secretOf('api', await opened('api.age'))).toBe(200);
    expect(await live('apply', '--plan')).toMatchObject({ code: 0 });
  });

  test('realm export and import by pipe', async () => {
    const { out } = await live('keycloak', 'realm', 'export', '--all', '--live');
    const renamed = JSON.stringify(
      (JSON.parse(out) as { realm: string }[]).map(
        (realm) =>
          JSON.parse(
            JSON.stringify({ ...realm, id: undefined, realm: 'copy' }).replaceAll('/realms/shop/', '/realms/copy/'),
          ) as unknown,
      ),
    );
    expect(renamed).toContain('copy');
    const imported = await postern(
      [
        'keycloak',
        'realm',
        'import',
        '--url',
        keycloak.url,
        '--ca',
        'ca.crt',
        '--username',
        keycloak.administrator.username,
      ],
      (await postern(['keycloak', 'realm', 'export', '--name', 'shop'])).out.replace(
        '"realm": "shop"',
        '"realm": "copy"',
      ),
    );
    expect(imported).toMatchObject({ code: 0, out: 'realm copy: made' });
  });

  test(
    'a realm of more clients than one import takes is made in parts, and nothing is left to do',
    async () => {
      const many = (count: number) =>
        `[app]\nname = "many"\nprofile = "fedramp-low"\n[keycloak]\nhostname = "a.example"\n[keycloak.observability]\nenable = false\n[keycloak.realm.many]\nroles = ["clerk"]\n` +
        Array.from(
          { length: count },
          (_, at) =>
            `[keycloak.client.c${at}]\ntype = "public"\nredirect_uris = ["https://shop.example/c"]\n${at === 7 ? 'role_scope = ["clerk"]\nroles = ["reader"]\n' : ''}`,
        ).join('');
      writeFileSync(join(folder, 'many.toml'), many(120));
      expect(await live('apply', '--file', 'many.toml')).toMatchObject({ code: 0 });
      expect(await live('apply', '--plan', '--file', 'many.toml')).toMatchObject({ code: 0 });
    },
    START_MS,
  );

  test('a wrong password of the administrator ends with 1', async () => {
    const { code, err } = await postern([
      'apply',
      '--plan',
      '--url',
      keycloak.url,
      '--ca',
      'ca.crt',
      '--username',
      'nobody',
    ]);
    expect({ code, err }).toEqual({ code: 1, err: 'the administrator was refused: invalid_grant' });
  });
});
