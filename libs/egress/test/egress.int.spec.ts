import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { developmentCa, type Leaf } from '@postern/testing';
import { fetch as undiciFetch } from 'undici';
import { type Egress, type EgressOptions, EgressRefused, openEgress } from '../src/index.ts';

const NAME = 'crypto-store.dev.postern.internal';

let leaf: Leaf;
let ca: string;
let server: Server;
let port: number;
let answer: RequestListener;
const seen: string[] = [];
const opened: Egress[] = [];

beforeAll(async () => {
  const authority = developmentCa();
  ca = await authority.certificate();
  leaf = await authority.issue('crypto-store', { addresses: ['127.0.0.1', '::1'] });
  server = createServer({ cert: leaf.cert, key: leaf.key }, (request, response) => {
    seen.push(`${(request.socket as { servername?: string }).servername ?? ''} ${request.url ?? ''}`);
    answer(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});

afterAll(async () => {
  await Promise.all(opened.map((egress) => egress.close()));
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function egressWith(options: Partial<EgressOptions> = {}): Egress {
  const egress = openEgress({
    allow: [`127.0.0.1:${port}`, `${NAME}:${port}`],
    publicAddresses: false,
    listedAuthorities: () => ca,
    resolve: async () => ['127.0.0.1'],
    ...options,
  });
  opened.push(egress);
  return egress;
}

async function refusal(call: Promise<unknown>): Promise<EgressRefused> {
  const error: unknown = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(EgressRefused);
  return error as EgressRefused;
}

test('R35: a listed host is reached at the address that was checked, by its name in SNI and certificate', async () => {
  answer = (_request, response) => response.end('hello');
  const { status, body } = await egressWith().request(`https://${NAME}:${port}/a?b=c`);
  expect([status, Buffer.from(body).toString()]).toEqual([200, 'hello']);
  expect(seen.at(-1)).toBe(`${NAME} /a?b=c`);
});

test('R35: no proxy is used, whatever the environment says', async () => {
  answer = (_request, response) => response.end('direct');
  const names = ['HTTPS_PROXY', 'https_proxy', 'NODE_USE_ENV_PROXY'];
  const before = { ...process.env };
  Object.assign(process.env, {
    HTTPS_PROXY: 'http://127.0.0.1:9',
    https_proxy: 'http://127.0.0.1:9',
    NODE_USE_ENV_PROXY: '1',
  });
  try {
    expect((await egressWith().request(`https://127.0.0.1:${port}/`)).status).toBe(200);
  } finally {
    for (const name of names) {
      const value = before[name];
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
});

test.each([
  ['plain http', 'http://127.0.0.1/', 'not_https'],
  ['a file', 'file:///etc/passwd', 'not_https'],
  ['a user in the URL', 'https://user:pass@127.0.0.1/', 'credentials_in_url'],
  ['nonsense', 'https://', 'malformed_url'],
  ['a host that is not listed', 'https://example.org/', 'host_not_listed'],
  ['a listed host on another port', 'https://127.0.0.1/', 'host_not_listed'],
])('R35: %s is refused before anything is resolved', async (_name, url, reason) => {
  const resolve = async () => {
    throw new Error('resolved');
  };
  const error = await refusal(egressWith({ resolve }).request(url));
  expect(error).toMatchObject({ reason, sent: false });
});

test.each([
  ['loopback in decimal', 'https://2130706433/', 'loopback'],
  ['loopback in octal', 'https://0177.0.0.1/', 'loopback'],
  ['loopback mapped into IPv6', 'https://[::ffff:127.0.0.1]/', 'loopback'],
  ['metadata', 'https://169.254.169.254/latest/meta-data', 'metadata'],
  ['metadata behind NAT64', 'https://[64:ff9b::a9fe:a9fe]/', 'metadata'],
  ['a private address', 'https://10.0.0.1/', 'private'],
])('R35: %s is not a public address', async (_name, url, addressClass) => {
  const error = await refusal(egressWith({ allow: [], publicAddresses: true }).request(url));
  expect(error).toMatchObject({ reason: 'address_refused', addressClass, sent: false });
});

test('R35: one bad address among several refuses the name, and metadata is refused even when listed', async () => {
  const mixed = egressWith({ allow: [], publicAddresses: true, resolve: async () => ['8.8.8.8', '10.0.0.1'] });
  expect(await refusal(mixed.request('https://mixed.example/'))).toMatchObject({ addressClass: 'private' });
  const listed = egressWith({ allow: ['mixed.example'], resolve: async () => ['127.0.0.1', '169.254.169.254'] });
  expect(await refusal(listed.request('https://mixed.example/'))).toMatchObject({ addressClass: 'metadata' });
});

test('R35: a name is resolved once for a connection, so a second answer (rebinding) is never asked for', async () => {
  answer = (_request, response) => response.end();
  let asked = 0;
  const egress = egressWith({
    resolve: async () => {
      asked += 1;
      return asked === 1 ? ['127.0.0.1'] : ['169.254.169.254'];
    },
  });
  expect((await egress.request(`https://${NAME}:${port}/`)).status).toBe(200);
  expect(asked).toBe(1);
});

test('the operator’s own authority vouches for listed hosts, and for the name that was asked', async () => {
  const unlisted = egressWith({ listedAuthorities: () => undefined });
  expect(await refusal(unlisted.request(`https://127.0.0.1:${port}/`))).toMatchObject({ reason: 'tls_failed' });
  const other = egressWith({ allow: [`other.example:${port}`] });
  expect(await refusal(other.request(`https://other.example:${port}/`))).toMatchObject({ reason: 'tls_failed' });
});

test('R35: redirects, encoded bodies and too large bodies are refused', async () => {
  const egress = egressWith({ maxBytes: 1000 });
  const url = `https://127.0.0.1:${port}/`;
  answer = (_request, response) => response.writeHead(302, { location: 'https://169.254.169.254/' }).end();
  expect(await refusal(egress.request(url))).toMatchObject({ reason: 'redirect', sent: true });
  answer = (_request, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('x');
  expect(await refusal(egress.request(url))).toMatchObject({ reason: 'encoded' });
  answer = (_request, response) => response.end(Buffer.alloc(1001));
  expect(await refusal(egress.request(url))).toMatchObject({ reason: 'too_large' });
  answer = (_request, response) => response.end(Buffer.alloc(1000));
  expect((await egress.request(url)).body).toHaveLength(1000);
  expect(await refusal(egress.request(url, { maxBytes: 999 }))).toMatchObject({ reason: 'too_large' });
});

test('R35: a call ends in its time, also when the server dribbles', async () => {
  const egress = egressWith();
  const url = `https://127.0.0.1:${port}/`;
  // The connection is there: what the time ends is the waiting for an answer.
  answer = (_request, response) => response.end();
  await egress.request(url);
  answer = () => undefined;
  expect(await refusal(egress.request(url, { timeoutMs: 1_000 }))).toMatchObject({
    reason: 'timed_out',
    sent: true,
  });
  answer = (request, response) => {
    const timer = setInterval(() => response.write('.'), 20);
    request.socket.once('close', () => clearInterval(timer));
  };
  expect(await refusal(egress.request(url, { timeoutMs: 1_000 }))).toMatchObject({ reason: 'timed_out' });
});

test('R20: what beforeWriting throws ends the call with nothing written', async () => {
  answer = (_request, response) => response.end();
  const egress = egressWith();
  await egress.request(`https://127.0.0.1:${port}/warm`);
  const before = seen.length;
  const beforeWriting = () => {
    throw new EgressRefused('deadline_passed');
  };
  const call = egress.request(`https://127.0.0.1:${port}/late`, { method: 'POST', body: 'token', beforeWriting });
  expect(await refusal(call)).toMatchObject({ reason: 'deadline_passed', sent: false });
  await egress.request(`https://127.0.0.1:${port}/after`);
  expect(seen.slice(before).map((line) => line.split(' ')[1])).toEqual(['/after']);
});

test('behind the shape of fetch, the same rules hold', async () => {
  answer = (request, response) => {
    request
      .setEncoding('utf8')
      .on('data', (text: string) => response.end(`${request.headers['content-type']} ${text}`));
  };
  const egress = egressWith();
  const body = new URLSearchParams({ a: 'b c' });
  const response = await egress.fetch(`https://127.0.0.1:${port}/`, { method: 'POST', body });
  expect(await response.text()).toBe('application/x-www-form-urlencoded;charset=UTF-8 a=b+c');
  expect(await refusal(egress.fetch('https://example.org/'))).toMatchObject({ reason: 'host_not_listed' });
});

test('R35: through the dispatcher alone, undici’s own fetch follows and decodes nothing either', async () => {
  const { dispatcher } = egressWith();
  const get = () => undiciFetch(`https://127.0.0.1:${port}/`, { dispatcher });
  const cause = async () => (await get().then(undefined, (error: Error) => error.cause)) as EgressRefused;
  answer = (_request, response) => response.writeHead(302, { location: `https://127.0.0.1:${port}/other` }).end();
  expect(await cause()).toMatchObject({ reason: 'redirect' });
  answer = (_request, response) => response.writeHead(200, { 'content-encoding': 'br' }).end('x');
  expect(await cause()).toMatchObject({ reason: 'encoded' });
  answer = (request, response) => response.end(String(request.headers['accept-encoding']));
  expect(await (await get()).text()).toBe('identity');
});

test('an error never shows the URL, whose query may hold a code', async () => {
  const error = await refusal(egressWith().request('https://example.org/?code=s3cret'));
  expect(JSON.stringify([error.message, error.stack, error])).not.toContain('s3cret');
});
