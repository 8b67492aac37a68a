import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { connect as connectPlain, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { Agent, request, type Dispatcher } from 'undici';
import { createRateLimits } from '../src/index.ts';
import { profileNamed } from '@postern/profile';
import { testService, type TestService } from './service.ts';

const KIB = 1024;
let service: TestService;
let job: Dispatcher;

beforeAll(async () => {
  const limits = { headersTimeoutMs: 300, requestTimeoutMs: 600, connectionAgeMs: 400 };
  service = await testService({ listen: { limits } });
  job = await service.agentOf('job');
});
afterAll(async () => {
  await service.close();
});

function openSocket({ allowHalfOpen = false } = {}): Promise<TLSSocket> {
  const { cert, key, ca } = service.jobLeaf;
  const { hostname, port } = new URL(service.urls.api);
  return new Promise((resolve, reject) => {
    const options = { host: hostname, port: Number(port), cert, key, ca, allowHalfOpen };
    const socket = connect(options, () => resolve(socket));
    socket.once('error', reject);
  });
}

/** A connection that says nothing, not even the beginning of a TLS handshake. */
async function silentPeer(origin: string): Promise<{ socket: Socket; ended: Promise<void> }> {
  const { hostname, port } = new URL(origin);
  const socket = connectPlain({ host: hostname, port: Number(port) });
  await new Promise((resolve) => socket.once('connect', resolve));
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => {}).resume();
  return { socket, ended };
}

async function sent(text: string): Promise<string> {
  const socket = await openSocket();
  const chunks: Buffer[] = [];
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.write(text);
  await ended;
  return Buffer.concat(chunks).toString('utf8');
}

test('headers beyond 16 KiB are 431', async () => {
  const answer = await sent(`GET /health HTTP/1.1\r\nhost: x\r\nx-large: ${'x'.repeat(64 * KIB)}\r\n\r\n`);
  expect(answer).toMatch(/^HTTP\/1\.1 431 /);
  expect(answer).toContain('"code":"headers_too_large"');
});

test('slow headers and a slow body are 408', async () => {
  expect(await sent('GET /health HTTP/1.1\r\nhost: x\r\n')).toMatch(/^HTTP\/1\.1 408 /);
  const body =
    'POST /internal/ping HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{';
  expect(await sent(body)).toMatch(/^HTTP\/1\.1 4\d\d /);
});

test('who was told that it is too slow, and keeps its half of the connection open, is cut off', async () => {
  const socket = await openSocket({ allowHalfOpen: true });
  const gone = new Promise<string>((resolve) => {
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(String(code)));
  });
  socket.write('GET /health HTTP/1.1\r\nhost: x\r\n');
  await new Promise<void>((resolve) => socket.once('end', () => resolve()).resume());
  // Nobody is at the other end any more once a write fails.
  const writing = setInterval(() => socket.write('x'), 100);
  expect(await gone).toMatch(/^(ECONNRESET|EPIPE)$/);
  clearInterval(writing);
});

test('a TLS handshake has as long as the headers have', async () => {
  for (const origin of [service.urls.api, String(service.urls.public)]) {
    const { ended } = await silentPeer(origin);
    await ended;
  }
});

test('what is not HTTP is 400', async () => {
  expect(await sent('HELLO\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
});

test('what the next reader of a request could read in another way is refused', async () => {
  const token = await service.mint({ scopes: ['records:read', 'records:write'] });
  const bearer = `authorization: Bearer ${token}`;
  const json = 'content-type: application/json';
  const ask = (...lines: string[]) => sent(`${lines.join('\r\n')}\r\nconnection: close\r\n\r\n`);
  for (const hosts of [['host: x', 'host: y'], [], ['host: x y'], ['host: x/y']]) {
    const answer = await ask('GET /health HTTP/1.1', ...hosts);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain('"code":"malformed_request"');
  }
  for (const host of ['host: x', 'host: 127.0.0.1:8443', 'host: [::1]:8443'])
    expect(await ask('GET /health HTTP/1.1', host)).toMatch(/^HTTP\/1\.1 200 /);

  const path = `/things/${crypto.randomUUID()}`;
  expect(await ask(`GET ${path} HTTP/1.1`, 'host: x', bearer)).toContain('"code":"thing_not_found"');
  expect(await ask(`GET ${path} HTTP/1.1`, 'host: x', bearer, bearer)).toContain('"code":"token_missing"');

  const write = (...lines: string[]) => {
    const head = ['POST /things HTTP/1.1', 'host: x', bearer, 'connection: close', ...lines];
    return sent(`${head.join('\r\n')}\r\n\r\ne\r\n{"body":"one"}\r\n0\r\n\r\n`);
  };
  expect(await write(json, 'transfer-encoding: chunked')).toMatch(/^HTTP\/1\.1 201 /);
  expect(await write(json, 'transfer-encoding: gzip, chunked')).toMatch(/^HTTP\/1\.1 400 /);
  expect(await write(json, 'content-type: text/plain', 'transfer-encoding: chunked')).toMatch(/^HTTP\/1\.1 415 /);
});

test('a body of 100 MB is 413 before it is read', async () => {
  const token = await service.mint({ scopes: ['records:write'] });
  const head = `POST /things HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json\r\n`;
  const answer = await sent(`${head}content-length: ${100 * KIB * KIB}\r\n\r\n${'x'.repeat(200 * KIB)}`);
  expect(answer).toMatch(/^HTTP\/1\.1 413 /);
  expect(answer).toContain('"code":"payload_too_large"');
});

test('R12: a connection older than the limit is told to close', async () => {
  const { cert, key, ca } = service.jobLeaf;
  const agent = new Agent({ connections: 1, connect: { cert, key, ca } });
  const ask = async () => {
    const answer = await request(`${service.urls.api}/version`, { dispatcher: agent });
    await answer.body.dump();
    return answer.headers['connection'];
  };
  expect(await ask()).toBe('keep-alive');
  await new Promise((resolve) => setTimeout(resolve, 450));
  expect(await ask()).toBe('close');
  expect(await ask()).toBe('keep-alive');
  await agent.close();
});

test('a request that arrived on a kept connection while the process stood still is answered, though its time was up', async () => {
  const keepAliveMs = 1_000;
  const kept = await testService({ listen: { limits: { keepAliveMs } } });
  const { cert, key, ca } = kept.jobLeaf;
  const { hostname, port } = new URL(kept.urls.api);
  const socket = connect({ host: hostname, port: Number(port), cert, key, ca });
  const ask = () => socket.write('GET /health HTTP/1.1\r\nhost: x\r\n\r\n');
  let answers = 0;
  const ended = new Promise<string>((resolve) => {
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(`reset: ${code}`));
    socket.once('close', () => resolve('closed'));
  });
  const second = new Promise<string>((resolve) => {
    socket.on('data', () => {
      answers += 1;
      if (answers === 2) return resolve('answered');
      ask();
      // Node waits a second longer than it says.
      const until = performance.now() + keepAliveMs + 1_200;
      while (performance.now() < until);
    });
  });
  socket.once('secureConnect', ask);
  expect(await Promise.race([second, ended])).toBe('answered');
  // And then it is closed, as one that nobody asks anything.
  expect(await ended).toBe('closed');
  await kept.close();
});

test('beyond its tier a caller is 429 with Retry-After', async () => {
  const rates = createRateLimits({ profile: profileNamed('fedramp-moderate') });
  for (let call = 0; call < 10; call += 1) await rates.consume('auth', 'a');
  await expect(rates.consume('auth', 'a')).rejects.toMatchObject({
    code: 'too_many_requests',
    retryAfterSeconds: expect.any(Number),
  });
  await expect(rates.consume('auth', 'b')).resolves.toBeUndefined();
});

test('a drain answers what is in flight and what was on the way, with 0 failures', async () => {
  const draining = await testService();
  const agent = await draining.agentOf('job');
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  let entered = 0;
  const all = new Promise<void>((resolve) => {
    draining.hooks.during = () => {
      entered += 1;
      if (entered === 3) resolve();
      return held;
    };
  });
  const ping = () => request(`${draining.urls.api}/internal/ping`, { dispatcher: agent, method: 'POST' });
  const inFlight = [ping(), ping(), ping()];
  await all;
  const stopped = draining.stopListening();
  const ready = await request(`${draining.urls.management}/health/ready`);
  expect(ready.statusCode).toBe(503);
  await ready.body.dump();
  release();
  const answers = await Promise.all(inFlight);
  expect(answers.map(({ statusCode, headers }) => [statusCode, headers['connection']])).toEqual(
    Array(3).fill([200, 'close']),
  );
  await Promise.all(answers.map(({ body }) => body.dump()));
  await stopped;
  await expect(ping()).rejects.toThrow();
  await draining.close();
});

test('a drain ends by its deadline, also with a peer that never ends its TLS handshake', async () => {
  const draining = await testService({ listen: { drain: { graceMs: 0, deadlineMs: 300 } } });
  const { ended } = await silentPeer(draining.urls.api);
  await draining.stopListening();
  await ended;
  await draining.close();
});

test('a caller without a certificate, or of another CA, gets no connection', async () => {
  await expect(request(`${service.urls.api}/health`, { dispatcher: service.anonymous })).rejects.toThrow();
  await expect(request(`${service.urls.api}/health`, { dispatcher: job })).resolves.toMatchObject({ statusCode: 200 });
});
