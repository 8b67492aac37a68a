import { execFile } from 'node:child_process';
import { X509Certificate, createPrivateKey } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  asAdmin,
  describeWith,
  developmentCa,
  realPart,
  startLeashed,
  startPostgres,
  type Leashed,
  type PostgresServer,
} from '@postern/testing';
import { openBaoBinary, startOpenBao, type OpenBao } from '@postern/testing/openbao';
import pg from 'pg';

import { outputs, readDocument } from '../src/index.ts';
import { agentTemplates } from '../src/outputs/vault.ts';

const START_MS = 300_000;
const run = promisify(execFile);
const binary = await realPart('OpenBao', openBaoBinary);

describeWith(binary, 'what `postern generate vault` writes, at a real OpenBao and PostgreSQL', (bao) => {
  const authority = developmentCa();
  let folder: string;
  let server: OpenBao;
  let postgres: PostgresServer;
  let agent: Leashed;
  const at = (name: string) => join(folder, name);
  const text = (name: string) => readFileSync(at(name), 'utf8');
  const environment = () => ({
    PATH: `${at('bin')}${delimiter}${dirname(bao)}${delimiter}${process.env['PATH']}`,
    BAO_ADDR: server.address,
    BAO_TOKEN: server.rootToken,
  });
  const documentText = () => `[app]
name = "shop"
profile = "fedramp-moderate"
[keycloak]
hostname = "auth.shop.example"
[keycloak.database]
host = "localhost"
port = ${postgres.port}
username_file = "${at('out/username')}"
password_file = "${at('out/password')}"
[keycloak.tls]
certificate_file = "${at('out/cert.pem')}"
key_file = "${at('out/key.pem')}"
ca_file = "${at('out/ca.pem')}"
[keycloak.realm.shop]
`;
  const document = () => readDocument(documentText(), { file: 'postern.toml', now: new Date() });

  /** Runs `setup.sh`; its roles live `seconds`. */
  async function setup(seconds?: number): Promise<string> {
    const { admin } = postgres;
    const url = `postgresql://postgres@localhost:${postgres.port}/keycloak?sslmode=verify-full&sslcert=${admin.paths.cert}&sslkey=${admin.paths.key}&sslrootcert=${admin.paths.ca}`;
    const lives = seconds === undefined ? {} : { ROLE_TTL: `${seconds}s`, CERTIFICATE_TTL: `${seconds}s` };
    const { stdout } = await run('sh', [at('vault/setup.sh')], {
      env: { ...environment(), DATABASE_URL: url, ...lives },
    });
    return /role id: (\S+)/.exec(stdout)?.[1] ?? '';
  }
  async function startAgent(): Promise<void> {
    // A machine has these files where the configuration says; here they stand in the test's own folder.
    writeFileSync(at('agent.hcl'), text('vault/agent.hcl').replaceAll('/etc/openbao/', `${folder}/`));
    const { BAO_TOKEN: _root, ...env } = environment();
    agent = startLeashed([bao, 'agent', `-config=${at('agent.hcl')}`], {
      env: { ...env, HOME: folder },
      logFile: at('agent.log'),
      stopSignal: 'TERM',
    });
    await until(() => ['username', 'password', 'cert.pem', 'key.pem'].every((name) => existsSync(at(`out/${name}`))));
  }
  async function until(holds: () => boolean | Promise<boolean>, withinMs = 120_000): Promise<void> {
    const deadline = Date.now() + withinMs;
    while (!(await holds())) {
      if (Date.now() > deadline) throw new Error(`not in time; the agent said: ${text('agent.log').slice(-2_000)}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
  const credential = () => ({ user: text('out/username'), password: text('out/password') });
  async function asRole<T extends pg.QueryResultRow>(
    { user, password }: { user: string; password: string },
    statement: string,
  ): Promise<T[]> {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: postgres.port,
      database: 'keycloak',
      user,
      password,
      ssl: { ca: postgres.admin.ca, servername: 'localhost' },
    });
    client.on('error', () => {});
    await client.connect();
    try {
      return (await client.query<T>(statement)).rows;
    } finally {
      await client.end();
    }
  }

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'postern-vault-'));
    chmodSync(folder, 0o755);
    mkdirSync(at('bin'));
    mkdirSync(at('out'));
    // No systemd here: what would be restarted is written down.
    writeFileSync(at('bin/systemctl'), `#!/bin/sh\necho "$@" >> '${at('restarted')}'\n`, { mode: 0o755 });
    writeFileSync(
      at('hba.conf'),
      'hostssl all postgres 127.0.0.1/32 cert\nhostssl keycloak +keycloak 127.0.0.1/32 scram-sha-256\n',
      { mode: 0o644 },
    );
    const settings = { hba_file: at('hba.conf'), listen_addresses: 'localhost' };
    [server, postgres] = await Promise.all([
      startOpenBao(),
      startPostgres({ folder: at('postgres'), authority, settings }),
    ]);
    await asAdmin(postgres, async (client) => {
      await client.query('create role keycloak nologin');
      await client.query('create database keycloak owner keycloak');
    });
    for (const file of outputs.vault(document())) {
      mkdirSync(dirname(at(file.path)), { recursive: true });
      writeFileSync(at(file.path), file.text);
    }
  }, START_MS);
  afterAll(async () => {
    await agent?.stop();
    await server?.close();
    await postgres?.discard();
    rmSync(folder, { recursive: true, force: true });
  }, START_MS);

  test(
    'a role for 90 days and a certificate for 30, readable by their owner only; who reads them is told',
    async () => {
      const roleId = await setup();
      const { data } = (await server.call('POST', 'auth/approle/role/keycloak/secret-id', {})) as {
        data: { secret_id: string };
      };
      writeFileSync(at('role-id'), roleId, { mode: 0o600 });
      writeFileSync(at('secret-id'), data.secret_id, { mode: 0o600 });
      await startAgent();

      const leaf = new X509Certificate(text('out/cert.pem'));
      expect([leaf.subject, leaf.subjectAltName]).toEqual(['CN=auth.shop.example', 'DNS:auth.shop.example']);
      expect(leaf.verify(new X509Certificate(text('out/ca.pem')).publicKey)).toBe(true);
      expect(leaf.checkPrivateKey(createPrivateKey(text('out/key.pem')))).toBe(true);
      expect(Math.round((leaf.validToDate.getTime() - Date.now()) / 86_400_000)).toBe(30);

      const [role] = await asAdmin(
        postgres,
        async (client) =>
          (
            await client.query<{ days: number }>(
              `select round(extract(epoch from rolvaliduntil - now()) / 86400)::int as days from pg_roles where rolname = $1`,
              [credential().user],
            )
          ).rows,
      );
      expect(role?.days).toBe(90);
      await until(() => existsSync(at('restarted')) && text('restarted').includes('nginx'));
      expect(text('restarted')).toContain('try-restart keycloak.service');
      const { stdout } = await run('stat', ['-c', '%a', at('out/password'), at('out/key.pem')]);
      expect(stdout.trim().split('\n')).toEqual(['400', '400']);
    },
    START_MS,
  );

  test(
    'an agent that is started anew keeps the certificate that it has',
    async () => {
      const before = text('out/cert.pem');
      const key = text('out/key.pem');
      await agent.stop();
      rmSync(at('out/username'));
      await startAgent();
      expect(text('out/cert.pem')).toBe(before);
      expect(text('out/key.pem')).toBe(key);
    },
    START_MS,
  );

  test(
    'what one role made the next one changes; the old one works until its lease ends, and is dropped then',
    async () => {
      await agent.stop();
      // Run again it is the same role and the same authority.
      expect(await setup(20)).toBe(text('role-id'));
      for (const name of ['username', 'password', 'cert.pem', 'keycloak-bundle.pem'])
        rmSync(at(`out/${name}`), { force: true });
      await startAgent();
      const first = credential();
      await asRole(first, 'create table realm (id int)');
      expect(await asRole(first, 'select current_user')).toEqual([{ current_user: 'keycloak' }]);
      const certificate = text('out/cert.pem');

      await until(() => credential().user !== first.user && credential().password !== first.password);
      const second = credential();
      await asRole(second, 'alter table realm add column name text');
      await until(() => text('out/cert.pem') !== certificate);
      await until(async () => {
        try {
          await asRole(first, 'select 1');
          return false;
        } catch {
          return true;
        }
      });
      // Its password has a date too: the role may be there a moment longer.
      await until(() =>
        asAdmin(postgres, async (client) => {
          const { rows } = await client.query('select 1 from pg_roles where rolname = $1', [first.user]);
          return rows.length === 0;
        }),
      );
    },
    START_MS,
  );

  test("the agent's policy lets it do these two things and no other", async () => {
    const { data } = (await server.call('POST', 'auth/approle/role/keycloak/secret-id', {})) as {
      data: { secret_id: string };
    };
    const { auth } = (await server.call('POST', 'auth/approle/login', {
      role_id: text('role-id'),
      secret_id: data.secret_id,
    })) as { auth: { client_token: string } };
    const status = async (path: string, body?: object) =>
      (
        await fetch(`${server.address}/v1/${path}`, {
          method: body ? 'POST' : 'GET',
          headers: { 'x-vault-token': auth.client_token },
          ...(body ? { body: JSON.stringify(body) } : {}),
        })
      ).status;
    expect(await status('database/creds/keycloak')).toBe(200);
    expect(await status('keycloak-pki/issue/keycloak', { common_name: 'auth.shop.example' })).toBe(200);
    expect(await status('keycloak-pki/issue/keycloak', { common_name: 'other.shop.example' })).toBe(400);
    expect(await status('database/config/keycloak')).toBe(403);
    expect(await status('database/roles/keycloak')).toBe(403);
    expect(await status('keycloak-pki/root/generate/internal', { common_name: 'x' })).toBe(403);
  });

  test('the NixOS module has the same templates', () => {
    const module = readFileSync(join(import.meta.dirname, '../nix/vault.nix'), 'utf8');
    const templates = agentTemplates(document());
    expect(module).toContain(templates.username.replace('username', '${field}'));
    expect(module).toContain('pkiCert "keycloak-pki/issue/keycloak" "common_name=${cfg.hostname}"${names} "ttl=720h"');
    expect(module).toContain('{{ .Data.Key }}{{ .Data.Cert }}{{ .Data.CA }}');
  });
});
