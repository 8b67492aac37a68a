import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { busCa, developmentCa, startRedis } from '@postern/testing';
import { createClient } from 'redis';
import { place } from '../src/place.ts';

const { busAcl } = (await import(join(import.meta.dirname, '../../../libs/bus/src/acl.ts'))) as {
  busAcl(service: string): string;
};

const linesOf = (kind: string): string[] =>
  readFileSync(place(`examples/redis-${kind}.acl`), 'utf8')
    .trim()
    .split('\n');
/** Name, the key in `redis.passwordsSecret` that has its password, and what it may do. */
const usersOf = (kind: string) =>
  linesOf(kind).flatMap((line) => {
    const [, name = '', key = '', rules = ''] = /^user (\S+) reset on #SHA256_OF_(\S+) (.+)$/.exec(line) ?? [];
    return name === '' ? [] : [{ name, key, rules }];
  });

test.each(['bus', 'cache'])(
  'the default user of the %s is off, and every other line is a user with a password (R21)',
  (kind) => {
    const [first, ...others] = linesOf(kind);
    expect(first).toBe('user default reset off');
    expect(usersOf(kind)).toHaveLength(others.length);
    for (const { name, key } of usersOf(kind)) expect(key).toBe(`${name}-${kind}`);
  },
);

test('what each service may do on the bus is what the bus gives it', () => {
  const services = ['token-exchange', 'auth-manager', 'crypto-store', 'key-proxy', 'audit-sink'];
  expect(Object.fromEntries(usersOf('bus').map(({ name, rules }) => [name, rules]))).toEqual(
    Object.fromEntries(services.map((service) => [service, busAcl(service)])),
  );
});

test.each(['bus', 'cache'] as const)('a Redis takes the users of the %s, and keeps their keys apart', async (kind) => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-redis-'));
  const authority = kind === 'bus' ? busCa(folder) : developmentCa(folder);
  const users = usersOf(kind).map(({ name, rules }) => ({ name, password: `of-${name}`, rules }));
  const server = await startRedis({ kind, folder, authority, users, adminPassword: 'of-nobody-else' });
  const { cert, key, ca } = await authority.issue('key-proxy');
  const client = createClient({
    username: 'key-proxy',
    password: 'of-key-proxy',
    socket: { host: '127.0.0.1', port: server.port, tls: true, cert, key, ca, servername: 'localhost' },
  });
  client.on('error', () => {});
  try {
    await client.connect();
    const at = (service: string) => (kind === 'bus' ? `postern:${service}:x` : `${service}:x`);
    expect(await client.set(at('key-proxy'), '1')).toBe('OK');
    await expect(client.get(at('crypto-store'))).rejects.toThrow('NOPERM');
    await expect(client.flushDb()).rejects.toThrow('NOPERM');
  } finally {
    client.destroy();
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
