import { execFileSync, fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createLocalRootKeyFile } from '@postern/branch-keys';
import {
  DEVELOPMENT_TRUST_DOMAIN,
  postgresForTests,
  redisForTests,
  spiffeIdOf,
  testIssuer,
  WORKLOADS,
} from '@postern/testing';

const root = join(import.meta.dirname, '../../..');
const elsewhere = mkdtempSync(join(tmpdir(), 'postern-tree-'));
const tree = join(elsewhere, 'crypto-store');
const closes: (() => unknown)[] = [() => rmSync(elsewhere, { recursive: true, force: true })];
let service: ChildProcess;
let management: string;
let env: Record<string, string>;

/** The tree as an image has it: bundled, moved away from the workspace, its packages installed from its own lock file. */
beforeAll(async () => {
  execFileSync(process.execPath, ['infra/build/bundle.ts', 'apps/crypto-store'], { cwd: root, stdio: 'pipe' });
  cpSync(join(root, 'dist/apps/crypto-store'), tree, { recursive: true });
  const install = ['ci', '--omit=dev', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
  execFileSync('npm', install, { cwd: tree, stdio: 'pipe' });

  const [postgres, redis, issuer] = await Promise.all([postgresForTests(), redisForTests(), testIssuer()]);
  closes.push(
    () => postgres.close(),
    () => redis.close(),
    () => issuer.close(),
  );
  const database = await postgres.createDatabase({ service: 'crypto-store' });
  closes.push(() => database.drop());
  const [{ paths }, cache, bus] = await Promise.all([
    postgres.authority.issue('crypto-store'),
    redis.cache.user('crypto-store'),
    redis.bus.user('crypto-store'),
  ]);
  const rootKeyPath = join(elsewhere, 'root.key');
  await createLocalRootKeyFile(rootKeyPath);
  const trustPath = join(elsewhere, 'trust.json');
  const workloads = WORKLOADS.map((name) => ({ name, spiffeId: spiffeIdOf(name) }));
  writeFileSync(
    trustPath,
    JSON.stringify({ trustDomain: DEVELOPMENT_TRUST_DOMAIN, workloads, issuers: [issuer.entry] }),
  );
  env = {
    NODE_ENV: 'production',
    POSTERN_ENVIRONMENT: 'development',
    POSTERN_ROLE: 'api',
    POSTERN_API_PORT: '0',
    POSTERN_PUBLIC_PORT: '0',
    POSTERN_MANAGEMENT_PORT: '0',
    POSTERN_TLS_CERT_PATH: paths.cert,
    POSTERN_TLS_KEY_PATH: paths.key,
    POSTERN_TLS_CA_PATH: paths.ca,
    POSTERN_TRUST_PATH: trustPath,
    POSTERN_POSTGRES_URL: database.url,
    POSTERN_POSTGRES_OWNER_URL: database.ownerUrl,
    POSTERN_CACHE_URL: cache.url,
    POSTERN_CACHE_PASSWORD: cache.password,
    POSTERN_BUS_URL: bus.url,
    POSTERN_BUS_PASSWORD: bus.password,
    POSTERN_BUS_TLS_CERT_PATH: bus.paths.cert,
    POSTERN_BUS_TLS_KEY_PATH: bus.paths.key,
    POSTERN_BUS_TLS_CA_PATH: bus.paths.ca,
    POSTERN_ROOT_KEY: 'local',
    POSTERN_ROOT_KEY_PATH: rootKeyPath,
    POSTERN_AUDIT_SINK_URL: 'https://127.0.0.1:1',
  };
  execFileSync(process.execPath, ['migrate.js'], { cwd: tree, env, stdio: 'pipe' });
  service = fork('main.js', {
    cwd: tree,
    env,
    execArgv: ['--enable-source-maps'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const exited = once(service, 'exit');
  closes.push(async () => {
    service.kill('SIGTERM');
    await exited;
  });
  const started = once(service, 'message') as Promise<[{ ready: { management: string } }]>;
  const [message] = await Promise.race([
    started,
    exited.then(([code]) => {
      throw new Error(`the service ended with ${code}`);
    }),
  ]);
  management = message.ready.management;
}, 180_000);

afterAll(async () => {
  for (const close of closes.toReversed()) await close();
});

test('the production tree starts by itself outside the repository and is ready', async () => {
  const answer = await fetch(`${management}/health/ready`);
  expect([answer.status, await answer.json()]).toEqual([200, expect.objectContaining({ status: 'ok' })]);
});

test('the API page and its script are served from the tree', async () => {
  const [page, script] = await Promise.all([fetch(`${management}/docs`), fetch(`${management}/docs/scalar.js`)]);
  expect([page.status, script.status]).toEqual([200, 200]);
  expect((await script.text()).length).toBeGreaterThan(1_000_000);
  expect(existsSync(join(tree, 'node_modules/@scalar'))).toBe(false);
});

test('R6: the same tree refuses to start as production with the parts of development', () => {
  const production = { ...env, POSTERN_ENVIRONMENT: 'production' };
  const start = () => execFileSync(process.execPath, ['main.js'], { cwd: tree, env: production, stdio: 'pipe' });
  expect(start).toThrow(expect.objectContaining({ status: 78 }));
  expect(start).toThrow(/POSTERN_ROOT_KEY: production refuses the `local` root key/);
});
