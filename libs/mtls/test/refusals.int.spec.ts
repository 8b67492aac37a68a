import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  busCa,
  developmentCa,
  ensureDatabase,
  fixedTls,
  postgresForTests,
  redisForTests,
  wrongClients,
  type Credential,
  type RedisPair,
  type TestPostgres,
} from '@postern/testing';
import pg from 'pg';
import { serverTlsOptions } from '../src/index.ts';
import { overHttp, toPostgres, toRedis, type Attempt } from './attempts.ts';
import { temporaryFolder } from './world.ts';

const folder = await temporaryFolder();
const development = await wrongClients(folder.path, developmentCa(), 'crypto-store');
const bus = await wrongClients(folder.path, busCa(), 'crypto-store');
const otherCa: Credential = { leaf: await developmentCa().issue('crypto-store') };

let http: Server;
let postgres: TestPostgres;
let redis: RedisPair;
const ports: Record<string, number> = {};

beforeAll(async () => {
  const material = fixedTls(await developmentCa().issue('crypto-store'));
  http = createServer(serverTlsOptions(material, 'required'), (_, response) => response.end('hello'));
  await once(http.listen(0, '127.0.0.1'), 'listening');
  [postgres, redis] = await Promise.all([postgresForTests(), redisForTests()]);
  await ensureDatabase(postgres, { service: 'crypto-store' });
  Object.assign(ports, {
    http: (http.address() as AddressInfo).port,
    postgres: postgres.port,
    cache: redis.cache.port,
    bus: redis.bus.port,
  });
});

afterAll(async () => {
  http.closeAllConnections();
  http.close();
  await Promise.all([postgres.close(), redis.close()]);
  await folder.remove();
});

const servers: [string, Attempt, Record<string, Credential>, string, RegExp][] = [
  ['http', overHttp, development, await developmentCa().certificate(), /hello/],
  ['postgres', toPostgres, development, await developmentCa().certificate(), /hello/],
  ['cache', toRedis, development, await developmentCa().certificate(), /NOAUTH/],
  [
    'bus',
    toRedis,
    { ...bus, 'a certificate of the development CA (R21)': otherCa },
    await busCa().certificate(),
    /NOAUTH/,
  ],
];

describe.each(servers)('the server %s', (server, attempt, wrong, ca, answer) => {
  test('answers a workload with its certificate over TLS 1.3 (R4)', async () => {
    const authority = server === 'bus' ? busCa() : developmentCa();
    const leaf = await authority.issue('crypto-store', { usages: ['clientAuth'] });
    await expect(attempt(ports[server]!, { leaf }, ca)).resolves.toMatch(answer);
  });

  test.each(Object.entries(wrong))('refuses %s', async (_, credential) => {
    await expect(attempt(ports[server]!, credential, ca)).rejects.toThrow();
  });
});

test('PostgreSQL refuses the certificate of another workload, and a plain connection', async () => {
  const ca = await developmentCa().certificate();
  const leaf = await developmentCa().issue('key-proxy');
  await expect(toPostgres(postgres.port, { leaf }, ca)).rejects.toMatchObject({ code: '28000' });
  const plain = new pg.Client({ host: '127.0.0.1', port: postgres.port, user: 'crypto_store', database: 'template1' });
  await expect(plain.connect()).rejects.toMatchObject({ code: '28000' });
});
