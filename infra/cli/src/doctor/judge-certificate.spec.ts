import { once } from 'node:events';
import { createServer, type Server } from 'node:tls';
import { type AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { developmentCa, issueSelfSigned, type Leaf } from '@postern/testing';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { judgeCertificate } from './judge-certificate.ts';

const HOUR_MS = 3_600_000;
const folder = mkdtempSync(join(tmpdir(), 'doctor-'));
const servers: Server[] = [];
let operator: Leaf;
let url: string;

async function serving({ cert, key }: { cert: string; key: string }): Promise<string> {
  const server = createServer({ cert, key, minVersion: 'TLSv1.3' }).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
beforeAll(async () => {
  const ca = developmentCa(folder);
  operator = await ca.issue('operator');
  url = await serving(await ca.issue('crypto-store'));
});
afterAll(() => {
  for (const server of servers) server.close();
  rmSync(folder, { recursive: true, force: true });
});
const judged = (service: string, at: string, hours: number) =>
  judgeCertificate(service, at, operator, new Date(Date.now() + hours * HOUR_MS));

test('a listener with a good certificate is fine, and its SPIFFE id is said', async () => {
  expect(await judged('crypto-store', url, 0)).toMatchObject({
    level: 'ok',
    says: expect.stringContaining('/crypto-store, good until'),
  });
});

test('one that nothing has renewed is named before it ends', async () => {
  expect(await judged('crypto-store', url, 22)).toMatchObject({
    level: 'problem',
    todo: expect.stringContaining('nothing has renewed it'),
  });
});

test('one of another workload is a problem (R4)', async () => {
  expect(await judged('key-proxy', url, 0)).toMatchObject({
    level: 'problem',
    says: expect.stringContaining('is of crypto-store'),
  });
});

test('one of another authority, and a listener that is not there, are problems that say what to look at', async () => {
  const stranger = await serving(await issueSelfSigned('crypto-store', { into: join(folder, 'stranger') }));
  const gone = await serving(operator);
  const last = servers.pop();
  last?.close();
  await once(last!, 'close');
  for (const at of [stranger, gone]) {
    expect(await judged('crypto-store', at, 0)).toMatchObject({
      level: 'problem',
      says: expect.stringContaining('no TLS connection'),
      todo: expect.stringContaining('is it up'),
    });
  }
});
