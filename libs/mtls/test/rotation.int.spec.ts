import { once } from 'node:events';
import { appendFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { join } from 'node:path';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  developmentCa,
  openAuthority,
  postgresForTests,
  redisForTests,
  type RedisPair,
  type TestPostgres,
} from '@postern/testing';
import pg from 'pg';
import { request } from 'undici';
import {
  followRotation,
  openAgent,
  openRedis,
  peerOf,
  postgresTls,
  serverTlsOptions,
  watchTlsMaterial,
  type TlsMaterial,
} from '../src/index.ts';
import { temporaryFolder } from './world.ts';

const CALLERS = 20;
const ROTATIONS = 4;
const BETWEEN_MS = 250;

const folder = await temporaryFolder();
const authority = developmentCa();
let postgres: TestPostgres;
let redis: RedisPair;

beforeAll(async () => {
  [postgres, redis] = await Promise.all([postgresForTests(), redisForTests()]);
});
afterAll(async () => {
  await Promise.all([postgres.close(), redis.close()]);
  await folder.remove();
});

const issue = (workload: string, into: string) => authority.issue(workload, { into: join(folder.path, into) });

/** Issues into the folder that `material` watches, and waits until it is taken. Returns the new thumbprint. */
async function rotate(material: TlsMaterial, workload: string, into: string): Promise<string> {
  const taken = new Promise<void>((resolve) => void material.onChange(() => resolve()));
  const { thumbprint } = await issue(workload, into);
  await taken;
  return thumbprint;
}

/** Waits for what the load brings about; what never comes ends the test by its limit. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(5);
}

/** Runs `call` without a pause while `rotateOnce` runs several times. Any failing call fails the test. */
async function underLoad(call: () => Promise<void>, rotateOnce: () => Promise<void>): Promise<number> {
  let calls = 0;
  let over = false;
  const caller = async () => {
    while (!over) {
      await call();
      calls += 1;
    }
  };
  const load = Promise.all(Array.from({ length: CALLERS }, caller));
  for (let rotation = 0; rotation < ROTATIONS; rotation += 1) {
    await Promise.race([sleep(BETWEEN_MS), load]);
    await rotateOnce();
  }
  await Promise.race([sleep(BETWEEN_MS), load]);
  over = true;
  await load;
  return calls;
}

test('HTTP: leaves of both sides rotate under load, no request fails, each new one comes into use', async () => {
  const serverMaterial = await watchTlsMaterial((await issue('crypto-store', 'http-server')).paths);
  const clientMaterial = await watchTlsMaterial((await issue('key-proxy', 'http-client')).paths);
  const clients = new Set<string>();
  const server = createServer(serverTlsOptions(serverMaterial, 'required'), (incoming, response) => {
    clients.add(peerOf(incoming.socket as TLSSocket)!.thumbprint);
    response.end('hello');
  });
  const unfollow = followRotation(server, serverMaterial);
  const servers = new Set<string>();
  server.on('secureConnection', () => servers.add(serverMaterial.current().thumbprint));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const agent = openAgent(clientMaterial, { connections: CALLERS });
  const issued = new Set([clientMaterial.current().thumbprint]);
  try {
    const calls = await underLoad(
      async () => {
        const { statusCode, body } = await request(url, { dispatcher: agent });
        await body.dump();
        expect(statusCode).toBe(200);
      },
      async () => {
        await rotate(serverMaterial, 'crypto-store', 'http-server');
        const next = await rotate(clientMaterial, 'key-proxy', 'http-client');
        issued.add(next);
        await until(() => clients.has(next));
      },
    );
    expect(calls).toBeGreaterThan(CALLERS * ROTATIONS);
    expect(clients).toEqual(issued);
    expect(agent.thumbprint()).toBe([...issued].at(-1));
    expect(servers.size).toBeGreaterThan(1);
  } finally {
    await agent.close();
    unfollow();
    server.closeAllConnections();
    server.close();
    serverMaterial.close();
    clientMaterial.close();
  }
});

test('HTTP: the authority rotates; a certificate of the old one is refused on new connections', async () => {
  const next = openAuthority({ directory: join(folder.path, 'next-ca'), name: 'next' });
  const paths = (await issue('crypto-store', 'ca-server')).paths;
  const material = await watchTlsMaterial(paths);
  const server = createServer(serverTlsOptions(material, 'required'), (_, response) => response.end('hello'));
  const unfollow = followRotation(server, material);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const oldClient = await watchTlsMaterial((await issue('key-proxy', 'ca-old')).paths);
  const newLeaf = await next.issue('key-proxy', { into: join(folder.path, 'ca-new') });
  await appendFile(newLeaf.paths.ca, await authority.certificate());
  const newClient = await watchTlsMaterial(newLeaf.paths);
  const status = async (client: typeof oldClient) => {
    const agent = openAgent(client);
    try {
      const { statusCode, body } = await request(url, { dispatcher: agent });
      await body.dump();
      return statusCode;
    } finally {
      await agent.close();
    }
  };
  const anchors = async (...certificates: string[]) => {
    const change = new Promise<void>((resolve) => void material.onChange(() => resolve()));
    await writeFile(paths.ca, certificates.join(''));
    await change;
  };
  try {
    expect(await status(oldClient)).toBe(200);
    await expect(status(newClient)).rejects.toThrow();
    await anchors(await authority.certificate(), await next.certificate());
    expect(await status(oldClient)).toBe(200);
    expect(await status(newClient)).toBe(200);
    await anchors(await next.certificate());
    await expect(status(oldClient)).rejects.toThrow();
    expect(await status(newClient)).toBe(200);
  } finally {
    unfollow();
    server.closeAllConnections();
    server.close();
    for (const watched of [material, oldClient, newClient]) watched.close();
  }
});

test('PostgreSQL: the client’s leaf rotates under load, no statement fails, new connections use the new one', async () => {
  const database = await postgres.createDatabase({ service: 'crypto-store' });
  const material = await watchTlsMaterial((await issue('crypto-store', 'postgres-client')).paths);
  const { hostname, port, pathname } = new URL(database.url);
  const pool = new pg.Pool({
    host: hostname,
    port: Number(port),
    user: database.serviceRole,
    database: pathname.slice(1),
    ssl: postgresTls(material),
    max: 5,
    maxUses: 50,
  });
  const serials = new Set<string>();
  try {
    await underLoad(
      async () => {
        const { rows } = await pool.query<{ serial: string }>(
          'select client_serial::text as serial from pg_stat_ssl where pid = pg_backend_pid()',
        );
        serials.add(rows[0]!.serial);
      },
      async () => {
        const before = serials.size;
        await rotate(material, 'crypto-store', 'postgres-client');
        await until(() => serials.size > before);
      },
    );
    expect(serials.size).toBe(ROTATIONS + 1);
  } finally {
    await pool.end();
    material.close();
    await database.drop();
  }
});

test('Redis: the client’s leaf rotates under load, no command fails, a new connection takes over', async () => {
  const user = await redis.cache.user('crypto-store');
  const material = await watchTlsMaterial((await issue('crypto-store', 'redis-client')).paths);
  const failures: Error[] = [];
  const handle = await openRedis({
    ...user,
    tls: material,
    name: 'rotating',
    commandTimeoutMs: 60_000,
    failed: (error) => failures.push(error),
  });
  const connections = new Set<number>();
  try {
    await underLoad(
      async () => {
        connections.add(await handle.client().sendCommand<number>(['CLIENT', 'ID']));
      },
      async () => {
        const before = connections.size;
        await rotate(material, 'crypto-store', 'redis-client');
        await until(() => connections.size > before);
      },
    );
    expect(connections.size).toBe(ROTATIONS + 1);
    expect(failures).toEqual([]);
    // The others are ended, each once it has nothing left to answer.
    const left = async () => {
      const named = await redis.cache.asAdmin((client) => client.sendCommand<string>(['CLIENT', 'LIST']));
      return named.match(/name=rotating/g)?.length;
    };
    while ((await left()) !== 1) await sleep(20);
  } finally {
    await handle.close();
    material.close();
  }
});

test('Redis away is no error at the start: commands fail at once, and it is found when it comes back', async () => {
  const user = await redis.cache.user('crypto-store', '~* +@all');
  const handle = await openRedis({ ...user, name: 'spec', commandTimeoutMs: 60_000 });
  const name = decodeURIComponent(new URL(user.url).username);
  const administer = (...command: string[]) => redis.cache.asAdmin((client) => client.sendCommand(command));
  await administer('ACL', 'SETUSER', name, 'off');
  await administer('CLIENT', 'KILL', 'USER', name);
  try {
    while (handle.ready()) await sleep(5);
    const startedAt = performance.now();
    await expect(handle.check()).rejects.toThrow();
    expect(performance.now() - startedAt).toBeLessThan(20_000);
    await administer('ACL', 'SETUSER', name, 'on');
    while (!handle.ready()) await sleep(20);
    await handle.check();
  } finally {
    await handle.close();
  }
});
