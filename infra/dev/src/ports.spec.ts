import { createServer, type AddressInfo, type Server } from 'node:net';

import { afterEach, expect, test } from '@jest/globals';

import { choosePorts } from './ports.ts';

const servers: Server[] = [];

function listen(port = 0): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    servers.push(server);
    server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}
const closeAll = () => Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
afterEach(closeAll);

test('a free port is kept, a taken one is replaced by a free one, and named', async () => {
  const { ports: free } = await choosePorts({ one: 0 });
  const taken = await listen();
  const { ports, moved } = await choosePorts({ free: free.one, taken });
  expect(ports.free).toBe(free.one);
  expect(ports.taken).not.toBe(taken);
  expect(moved).toEqual(['taken']);
  expect(await listen(ports.taken)).toBe(ports.taken);
});

test('no two names get one port', async () => {
  const { ports: free } = await choosePorts({ one: 0 });
  const { ports, moved } = await choosePorts({ first: free.one, second: free.one });
  expect(ports.first).toBe(free.one);
  expect(ports.second).not.toBe(free.one);
  expect(moved).toEqual(['second']);
});

test('where no port is preferred nothing is said to be replaced, and all differ', async () => {
  const names = Array.from({ length: 40 }, (_, at) => [`n${at}`, 0]);
  const { ports, moved } = await choosePorts(Object.fromEntries(names) as Record<string, number>);
  expect(moved).toEqual([]);
  expect(new Set(Object.values(ports)).size).toBe(40);
});

test('what one call gave no other call gives, though nobody listens there yet', async () => {
  const given: number[] = [];
  for (let turn = 0; turn < 8; turn += 1) {
    const names = Array.from({ length: 100 }, (_, at) => [`n${at}`, 0]);
    given.push(...Object.values((await choosePorts(Object.fromEntries(names) as Record<string, number>)).ports));
  }
  expect(new Set(given).size).toBe(given.length);
});

test('a replacement lies below the ports of outgoing connections', async () => {
  const { ports } = await choosePorts({ one: 0, two: 0 });
  for (const port of Object.values(ports)) {
    expect(port).toBeGreaterThanOrEqual(20_000);
    expect(port).toBeLessThan(32_768);
  }
});
