import { once } from 'node:events';
import { createServer as createTlsServer, type Server } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { developmentCa, fixedTls, type Leaf } from '@postern/testing';
import { request } from 'undici';
import { openAgent, openRedis } from '../src/index.ts';
import { temporaryFolder, wrongServers } from './world.ts';

const folder = await temporaryFolder();
const authority = developmentCa();
const wrong = await wrongServers(folder.path, authority, 'token-exchange');
const tls = fixedTls(await authority.issue('crypto-store'));

let server: Server | undefined;
let received = 0;

/** A server that answers both protocols well, so that only its certificate can be what a client dislikes. */
async function serve(leaf: Leaf): Promise<number> {
  received = 0;
  server = createTlsServer({ cert: leaf.cert, key: leaf.key }, (socket) => {
    socket.on('error', () => {});
    socket.on('data', (data) => {
      received += data.length;
      if (data.toString('latin1').startsWith('GET ')) socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
      else for (const _ of data.toString('latin1').matchAll(/^\*\d+\r$/gm)) socket.write('+OK\r\n');
    });
  });
  server.on('tlsClientError', () => {});
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
}

afterEach(() => {
  server?.close();
});
afterAll(() => folder.remove());

const overAgent = async (port: number, servername?: string) => {
  const agent = openAgent(tls, servername === undefined ? {} : { servername });
  try {
    return (await request(`https://127.0.0.1:${port}/`, { dispatcher: agent })).statusCode;
  } finally {
    await agent.close();
  }
};

const overRedis = async (port: number, servername?: string) => {
  const redis = await openRedis({
    url: `rediss://user@127.0.0.1:${port}`,
    password: 'canary',
    tls,
    name: 'spec',
    ...(servername === undefined ? {} : { servername }),
  });
  const ready = redis.ready();
  await redis.close();
  return ready;
};

describe('our clients send nothing to a server with', () => {
  test.each(Object.entries(wrong))('%s', async (_, leaf) => {
    const port = await serve(leaf);
    await expect(overAgent(port)).rejects.toThrow();
    await expect(overAgent(port, 'localhost')).rejects.toThrow();
    await expect(overRedis(port)).resolves.toBe(false);
    await expect(overRedis(port, 'localhost')).resolves.toBe(false);
    expect(received).toBe(0);
  });

  test('the right certificate excepted: by address, and by name', async () => {
    const port = await serve(await authority.issue('token-exchange'));
    await expect(overAgent(port)).resolves.toBe(200);
    await expect(overAgent(port, 'token-exchange.dev.postern.internal')).resolves.toBe(200);
    await expect(overAgent(port, 'key-proxy.dev.postern.internal')).rejects.toThrow();
    await expect(overRedis(port)).resolves.toBe(true);
  });
});
