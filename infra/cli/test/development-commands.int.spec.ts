import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { developmentCa, type Leaf } from '@postern/testing';
import {
  developmentPassword,
  developmentRealm,
  startIdentityProvider,
  type DevelopmentIdentityProvider,
} from '@postern/testing/identity-provider';
import { run } from '../src/run.ts';

let provider: DevelopmentIdentityProvider;
let service: Server;
let portal: Leaf;
let job: Leaf;
const seen: Record<'path' | 'authorization' | 'type' | 'body', string | undefined>[] = [];
/** What token-exchange says next. */
const ofExchange: { status: number; headers?: Record<string, string>; body: object | string }[] = [];
const stack = mkdtempSync(join(tmpdir(), 'postern-cli-'));
const inside = join(stack, 'a', 'b');

beforeAll(async () => {
  const ca = developmentCa();
  const [idp, store] = await Promise.all([ca.issue('identity-provider'), ca.issue('crypto-store')]);
  [portal, job] = await Promise.all([ca.issue('portal'), ca.issue('job')]);
  provider = await startIdentityProvider({
    tls: { cert: idp.cert, key: idp.key, ca: idp.ca },
    realm: developmentRealm({
      portalRedirectUris: ['https://127.0.0.1/callback'],
      authManagerRedirectUris: ['https://127.0.0.1/unused'],
      authManagerJwks: { keys: [] },
    }),
  });
  service = createServer({ cert: store.cert, key: store.key, ca: store.ca, requestCert: true }, (request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const { authorization, 'content-type': type } = request.headers;
      seen.push({ path: request.url, authorization, type, body });
      const told = request.url === '/token' ? ofExchange.shift() : undefined;
      if (told !== undefined) {
        response.writeHead(told.status, { 'content-type': 'application/json', ...told.headers });
        return void response.end(typeof told.body === 'string' ? told.body : JSON.stringify(told.body));
      }
      response.writeHead(request.url === '/missing' ? 404 : 200, { 'content-type': 'application/json' });
      response.end('{"ok":true}');
    });
  });
  await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
  const api = `https://127.0.0.1:${(service.address() as AddressInfo).port}`;
  mkdirSync(join(stack, '.postern'));
  mkdirSync(inside, { recursive: true });
  writeFileSync(
    join(stack, '.postern', 'state.json'),
    JSON.stringify({
      issuer: provider.issuer,
      urls: Object.fromEntries(
        ['crypto-store', 'token-exchange'].map((name) => [name, { api, public: api, management: api }]),
      ),
      certificates: { portal: portal.paths, job: job.paths, operator: job.paths },
      users: { alice: developmentPassword('alice') },
    }),
  );
});

afterAll(async () => {
  service.closeAllConnections();
  service.close();
  await provider.close();
  rmSync(stack, { recursive: true, force: true });
});

async function postern(...argv: string[]) {
  const lines = { out: [] as string[], err: [] as string[] };
  const code = await run(argv, {
    out: (line) => lines.out.push(line),
    err: (line) => lines.err.push(line),
    input: async () => '',
    folder: inside,
    interactive: false,
    environment: {},
  });
  return { code, out: lines.out.join('\n'), err: lines.err.join('\n') };
}

const claimsOf = (token: string) =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;

test('a person’s token comes through the portal’s login, for token-exchange, bound to the portal’s certificate', async () => {
  const { code, out } = await postern('token', '--as', 'alice');
  expect(code).toBe(0);
  expect(claimsOf(out)).toMatchObject({ azp: 'portal', cnf: { 'x5t#S256': portal.thumbprint } });
  expect([claimsOf(out)['aud']].flat()).toContain('token-exchange');
});

test('a workload’s token is its own, bound to its own certificate', async () => {
  const { code, out } = await postern('token', '--as', 'job', '--json');
  expect(code).toBe(0);
  const { access_token } = JSON.parse(out) as { access_token: string };
  expect(claimsOf(access_token)).toMatchObject({ azp: 'job', cnf: { 'x5t#S256': job.thumbprint } });
});

test('a call goes to the service by its name, over a certificate, with the token and the body that were given', async () => {
  const { code, out, err } = await postern(
    'call',
    'post',
    'crypto-store/store',
    '--token',
    'held',
    '--data',
    '{"key":"k"}',
  );
  expect({ code, out: JSON.parse(out) as unknown, err }).toEqual({ code: 0, out: { ok: true }, err: '200' });
  expect(seen.at(-1)).toEqual({
    path: '/store',
    authorization: 'Bearer held',
    type: 'application/json',
    body: '{"key":"k"}',
  });
});

test('breaking the glass says once which approval waits, asks on with the same login, and prints the token', async () => {
  const pending = (error: string) => ({ status: 400, body: { error, approval_id: 'approval-1', interval: 0 } });
  const away = { status: 503, headers: { 'retry-after': '0' }, body: 'no JSON' };
  ofExchange.push(away, pending('authorization_pending'), away, pending('slow_down'), {
    status: 200,
    body: { access_token: 'the-token', expires_in: 300, scope: 'policy:write' },
  });
  const asked = ['--as', 'alice', '--audience', 'token-exchange', '--scope', 'policy:write'];
  const { code, out, err } = await postern('break-glass', ...asked, '--reason', 'locked out');
  expect({ code, out }).toEqual({ code: 0, out: 'the-token' });
  expect(err.match(/approval approval-1 waits for two people/g)).toHaveLength(1);
  const forms = seen.slice(-5).map(({ body }) => new URLSearchParams(body));
  expect(forms[0]?.get('emergency')).toBe('true');
  expect(forms[0]?.get('justification')).toBe('locked out');
  expect(new Set(forms.map((form) => form.get('subject_token'))).size).toBe(1);

  ofExchange.push({ status: 403, body: { error: 'access_denied', error_description: 'There is no emergency access' } });
  expect(await postern('break-glass', ...asked, '--reason', 'again')).toMatchObject({
    code: 1,
    err: expect.stringContaining('access_denied: There is no emergency access'),
  });
});

test('the glass is broken in any deployment too: by its address, a certificate and the person’s own token, each from a file', async () => {
  writeFileSync(join(inside, 'login'), 'my-own-login\n');
  const { cert, key, ca } = portal.paths;
  const files = ['--cert', cert, '--key', key, '--ca', ca, '--subject-token', 'login'];
  const asked = ['--audience', 'token-exchange', '--scope', 'policy:write', '--reason', 'locked out'];
  ofExchange.push(
    { status: 400, body: { error: 'authorization_pending', approval_id: 'approval-2', interval: 0 } },
    { status: 200, body: { access_token: 'the-token' } },
  );
  const api = `https://127.0.0.1:${(service.address() as AddressInfo).port}`;
  const { code, out, err } = await postern('break-glass', '--token-exchange', api, ...files, ...asked);
  expect({ code, out }).toEqual({ code: 0, out: 'the-token' });
  expect(err).toContain('approval approval-2 waits for two people');
  expect(new URLSearchParams(seen.at(-1)?.body).get('subject_token')).toBe('my-own-login');
  for (const [argv, said] of [
    [['--token-exchange', 'http://127.0.0.1', ...files], 'wants an https URL'],
    [['--token-exchange', api, ...files.slice(0, 6)], '--subject-token FILE'],
    [['--token-exchange', api, ...files, '--as', 'alice'], 'postern break-glass --as WHO'],
  ] as const)
    expect(await postern('break-glass', ...argv, ...asked)).toMatchObject({
      code: 64,
      err: expect.stringContaining(said),
    });
});

test('a token and a body may come from files, named from the working folder', async () => {
  writeFileSync(join(inside, 'token'), 'held-elsewhere\n');
  writeFileSync(join(inside, 'body.json'), '{"from":"a file"}');
  const more = ['--token', '@token', '--data', '@body.json'];
  expect(await postern('call', 'POST', 'crypto-store/x', ...more)).toMatchObject({ code: 0 });
  expect(seen.at(-1)).toMatchObject({ authorization: 'Bearer held-elsewhere', body: '{"from":"a file"}' });
});

test('an answer that is cut short is not quoted: it may hold a token', async () => {
  ofExchange.push({ status: 200, body: 'eyJhbGciOiJFUzI1NiJ9.secret' });
  const asked = ['--as', 'alice', '--audience', 'x', '--scope', 'y', '--reason', 'z'];
  const { code, out, err } = await postern('break-glass', ...asked);
  expect({ code, out, err }).toEqual({ code: 70, out: '', err: 'what was read is not JSON' });
});

test('a refused call ends with 1, and --json holds status and body', async () => {
  const { code, out } = await postern('call', 'GET', 'crypto-store/missing', '--json');
  expect(code).toBe(1);
  expect(JSON.parse(out)).toMatchObject({ status: 404, body: { ok: true } });
});

test.each([
  [['call', 'GET', 'no-service/x'], 64, 'no-service is no service'],
  [['call', 'FETCH', 'crypto-store/x'], 64, 'postern call METHOD'],
  [['call', 'GET'], 64, 'takes METHOD URL|SERVICE/PATH'],
  [['break-glass', '--as', 'alice', '--audience', 'x', '--scope', 'y'], 64, '--reason TEXT'],
  [['token'], 64, 'postern token --as NAME'],
  [['token', '--as', 'nobody'], 64, 'nobody is neither a user nor a workload'],
  [['token', '--as', 'constructor'], 64, 'constructor is neither a user nor a workload'],
  [['call', 'POST', 'crypto-store/x', '--data', '@no-such-file'], 66, 'no-such-file cannot be read'],
  [['audit', 'verify', '.', '--key', 'k'], 64, 'is no published log'],
  [['token', '--as', 'job', '--what'], 64, '--what'],
  [['audit', 'verify'], 64, 'postern audit verify RECEIPT'],
  [['audit', 'verify', 'no-such-file', '--key', 'k'], 66, 'no-such-file cannot be read'],
  [['unheard-of'], 64, 'postern --help'],
  [['call', 'GET', 'https://127.0.0.1:1/x'], 69, 'unreachable'],
])('%j ends with %i and says why', async (argv, exitCode, said) => {
  const { code, err } = await postern(...argv);
  expect(code).toBe(exitCode);
  expect(err).toContain(said);
});

test('a receipt is checked without a stack: what proves nothing ends with 1', async () => {
  const file = join(stack, 'receipt.json');
  const receipt = { event: { id: 'x' }, salt: '', index: 0, leaf: '', proof: [], checkpoint: '', key: '' };
  writeFileSync(file, JSON.stringify(receipt));
  const key = 'log+00000000+AQ==';
  expect(await postern('audit', 'verify', file, '--key', key)).toMatchObject({
    code: 1,
    err: expect.stringContaining('receipt_refused'),
  });
});

test('outside a stack the way in is named', async () => {
  const terminal = {
    out: () => undefined,
    err: (line: string) => expect(line).toContain('npm start'),
    input: async () => '',
    folder: tmpdir(),
    interactive: false,
    environment: {},
  };
  expect(await run(['token', '--as', 'alice'], terminal)).toBe(78);
});
