import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decodeJwt } from 'jose';
import { fromEnvironment, PosternError, type Scopes, type TraceEntry } from '../src/index.ts';
import { startLocalPostern, type LocalPostern } from '../src/testing/index.ts';

let local: LocalPostern;
let scopes: Scopes;
let subject: string;
let traced: TraceEntry[];
let clock = 0;

beforeAll(async () => {
  local = await startLocalPostern({
    scopes: {
      'files:read': { audience: 'files' },
      'files:write': { audience: 'files' },
      'files:purge': { audience: 'files', decision: 'approve' },
      'files:format': { audience: 'files', decision: 'deny' },
      'mail:send': { audience: 'mail' },
    },
  });
});
afterAll(() => local.close());
beforeEach(async () => {
  subject = await local.subjectToken({ sub: 'alice' });
  traced = [];
  clock = 0;
  scopes = opened();
});
const opened = (more = {}) =>
  fromEnvironment({
    env: local.env,
    envFile: 'none',
    token: () => subject,
    now: () => new Date(Date.now() + clock),
    trace: (entry) => traced.push(entry),
    ...more,
  });

const failure = async (work: Promise<unknown>): Promise<PosternError> => {
  const error = await work.then(
    () => new Error('not refused'),
    (thrown: unknown) => thrown,
  );
  if (error instanceof PosternError) return error;
  throw error;
};
const count = () => local.exchanges.length;

describe('ensureScope', () => {
  test('gives a token with the scope for the audience, and leaves the caller’s own as it was', async () => {
    const token = await scopes.ensureScope('files:read', { audience: 'files' });
    expect(decodeJwt(token)).toMatchObject({ sub: 'alice', aud: 'files', scope: 'files:read' });
    expect(token).not.toBe(subject);
  });

  test('keeps tokens by audience and scope set, however it is written, and asks once for all who ask at once', async () => {
    const before = count();
    const asked = [
      ['files:write', 'files:read'],
      'files:read files:write',
      ['files:read', 'files:write', 'files:read'],
    ];
    const tokens = await Promise.all(asked.map((set) => scopes.ensureScope(set, { audience: 'files' })));
    expect(new Set(tokens).size).toBe(1);
    expect(await scopes.ensureScope(asked[1]!, { audience: 'files' })).toBe(tokens[0]);
    expect(count() - before).toBe(1);
    await scopes.ensureScope('files:read', { audience: 'files' });
    await scopes.ensureScope('mail:send', { audience: 'mail' });
    expect(count() - before).toBe(3);
  });

  test('asks for one token of several audiences, whichever is named first, and takes none that lacks one of them', async () => {
    const before = count();
    const wanted = ['files:read', 'mail:send'];
    const token = await scopes.ensureScope(wanted, { audience: ['files', 'mail'] });
    expect(decodeJwt(token)).toMatchObject({ aud: ['files', 'mail'], scope: 'files:read mail:send' });
    expect(await scopes.ensureScope(wanted, { audience: ['mail', 'files', 'mail'] })).toBe(token);
    expect(count() - before).toBe(1);
    expect(traced.map(({ sent }) => sent['audience'])).toEqual(['files mail']);
    expect(await scopes.ensureScope('files:read', { audience: 'files' })).not.toBe(token);

    // The caller's own token serves only where it names every one of them.
    subject = await local.subjectToken({ sub: 'alice', scopes: wanted, audience: 'files' });
    const other = await scopes.ensureScope(wanted, { audience: ['files', 'mail'] });
    expect(decodeJwt(other)['aud']).toEqual(['files', 'mail']);
  });

  test('renews before the end, and for another subject', async () => {
    const first = await scopes.ensureScope('files:read', { audience: 'files' });
    clock = 200_000;
    expect(await scopes.ensureScope('files:read', { audience: 'files' })).toBe(first);
    clock = 271_000;
    const second = await scopes.ensureScope('files:read', { audience: 'files' });
    expect(second).not.toBe(first);
    clock = 0;
    subject = await local.subjectToken({ sub: 'bob' });
    expect(decodeJwt(await scopes.ensureScope('files:read', { audience: 'files' }))['sub']).toBe('bob');
  });

  test('the caller’s own token serves where it verifiably has the scope, and a forged one does not', async () => {
    const before = count();
    subject = await local.subjectToken({ sub: 'alice', scopes: ['files:read'], audience: 'files' });
    expect(await scopes.ensureScope('files:read', { audience: 'files' })).toBe(subject);
    expect(count()).toBe(before);
    const [head = '', , signature = ''] = subject.split('.');
    const claims = { ...decodeJwt(subject), scope: 'files:format', jti: 'forged' };
    subject = [head, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.');
    expect((await failure(scopes.ensureScope('files:format', { audience: 'files' }))).code).not.toBe(
      'unexpected_answer',
    );
    expect(count()).toBe(before);
  });

  test.each<[string, string, string, string]>([
    ['a scope that is never given', 'files:format', 'files', 'scope_denied'],
    ['a scope that nobody knows', 'files:chown', 'files', 'scope_denied'],
    ['an audience that does not take it', 'files:read', 'mail', 'audience_denied'],
    ['no scope', '', 'files', 'scope_denied'],
  ])('%s', async (_, scope, audience, code) => {
    const error = await failure(scopes.ensureScope(scope, { audience }));
    expect(error.code).toBe(code);
    expect(JSON.stringify({ ...error, message: error.message, stack: error.stack })).not.toContain(subject);
  });

  test('a wrong secret, a dead subject, nobody there, too slow, and a caller who gave up each have their code', async () => {
    const wrong = opened({ env: { ...local.env, KEYCLOAK_CLIENT_SECRET: 'wrong' } });
    expect((await failure(wrong.ensureScope('files:read'))).code).toBe('client_refused');
    subject = 'a.b.c';
    expect((await failure(scopes.ensureScope('files:read'))).code).toBe('subject_refused');
    const away = opened({ env: { ...local.env, KEYCLOAK_SERVER_URL: 'http://127.0.0.1:1' } });
    expect((await failure(away.ensureScope('files:read'))).code).toBe('unreachable');
    const controller = new AbortController();
    controller.abort();
    expect((await failure(scopes.ensureScope('mail:send', { signal: controller.signal }))).code).toBe('aborted');
    await Promise.all([wrong.close(), away.close()]);
  });

  test('an approval: pending without a callback, else waited for and told of; denied is another code', async () => {
    const ask = (more = {}) => scopes.ensureScope('files:purge', { audience: 'files', ...more });
    const pending = await failure(ask());
    expect(pending).toMatchObject({
      code: 'approval_pending',
      approvalId: local.approvals()[0]?.id,
      retryAfterSeconds: 1,
    });
    const told: string[] = [];
    const token = await ask({
      onApprovalPending: ({ approvalId }: { approvalId: string }) => {
        told.push(approvalId);
        local.decide(approvalId, 'approved');
      },
    });
    expect(told).toEqual([pending.approvalId]);
    expect(decodeJwt(token)['scope']).toBe('files:purge');
    const other = opened();
    const onApprovalPending = ({ approvalId }: { approvalId: string | undefined }) =>
      local.decide(approvalId ?? '', 'denied');
    expect((await failure(other.ensureScope('files:purge', { onApprovalPending }))).code).toBe('approval_denied');
    await other.close();
  });

  test('the trace shows requests and answers, and nothing secret of either', async () => {
    const token = await scopes.ensureScope('files:read', { audience: 'files' });
    await failure(scopes.ensureScope('files:format', { audience: 'files' }));
    expect(traced.map(({ status, sent }) => `${status} ${sent['scope']}`)).toEqual([
      '200 files:read',
      '403 files:format',
    ]);
    const text = JSON.stringify(traced);
    for (const secret of [token, subject, local.env['KEYCLOAK_CLIENT_SECRET']!]) expect(text).not.toContain(secret);
  });
});

describe('fetchFor', () => {
  let server: Server;
  let origin: string;
  let answer: (request: IncomingMessage, response: ServerResponse, scopes: string[], body: string) => void;
  let seen: string[];

  beforeAll(async () => {
    server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => (body += String(chunk)));
      request.on('end', () => {
        local
          .verify(request.headers.authorization, 'files')
          .then(({ scope }) => String(scope).split(' '))
          .catch(() => [])
          .then((has) => {
            seen.push(has.join(' '));
            answer(request, response, has, body);
          })
          .catch(() => response.destroy());
      });
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => new Promise((closed) => server.close(closed)).finally(() => server.closeAllConnections()));
  beforeEach(() => {
    seen = [];
  });
  const lacking = (response: ServerResponse, scope: string) =>
    response.writeHead(403, { 'www-authenticate': `Bearer error="insufficient_scope", scope="${scope}"` }).end('{}');

  test('RFC 6750: a 403 that names the scope is answered by stepping up, with the body sent again', async () => {
    answer = (_request, response, has, body) => {
      if (!has.includes('files:write')) return lacking(response, 'files:write');
      return response.end(body);
    };
    const files = scopes.fetchFor(origin, { audience: 'files' });
    const first = await files(`${origin}/a`, { method: 'POST', body: 'hello' });
    expect([first.status, await first.text()]).toEqual([200, 'hello']);
    expect(seen).toEqual(['', 'files:write']);
    await (await files(`${origin}/b`, { method: 'POST', body: 'again' })).text();
    expect(seen).toEqual(['', 'files:write', 'files:write']);
  });

  test('two steps up a request, and no more; what is denied or not allowed leaves the server’s own answer', async () => {
    let names = ['files:read', 'files:write', 'mail:send'];
    answer = (_request, response, has) => lacking(response, names.find((name) => !has.includes(name)) ?? '');
    expect((await scopes.fetchFor(origin)(`${origin}/`)).status).toBe(403);
    expect(seen).toHaveLength(3);
    seen = [];
    names = ['files:format'];
    expect((await scopes.fetchFor(origin, { audience: 'files' })(`${origin}/`)).status).toBe(403);
    expect(seen).toHaveLength(1);
    const before = count();
    names = ['files:write'];
    const careful = scopes.fetchFor(origin, { audience: 'files', allow: (scope) => scope === 'files:read' });
    expect((await careful(`${origin}/`)).status).toBe(403);
    expect(count()).toBe(before);
  });

  test('a token goes to its own origin only, whatever address is given', async () => {
    const files = scopes.fetchFor('http://127.0.0.1:1', { audience: 'files' });
    expect((await failure(files(`${origin}/`))).code).toBe('origin_refused');
    expect(seen).toEqual([]);
  });

  test('a body that can be read once is sent once', async () => {
    answer = (_request, response) => lacking(response, 'files:write');
    const body = new Blob(['once']).stream();
    const init = { method: 'POST', body, duplex: 'half' } as RequestInit;
    expect((await scopes.fetchFor(origin, { audience: 'files' })(`${origin}/`, init)).status).toBe(403);
    expect(seen).toHaveLength(1);
  });

  test('an approval is waited for, with the callback', async () => {
    answer = (_request, response, has) =>
      has.includes('files:purge') ? response.end('done') : lacking(response, 'files:purge');
    const files = scopes.fetchFor(origin, {
      audience: 'files',
      onApprovalPending: ({ approvalId }) => local.decide(approvalId ?? '', 'approved'),
    });
    expect(await (await files(`${origin}/`)).text()).toBe('done');
  });

  test('a token that the server no longer takes is renewed once', async () => {
    let refused = 0;
    answer = (_request, response) => {
      if (refused++ > 0) return response.end('ok');
      return response.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end();
    };
    const before = count();
    const files = scopes.fetchFor(origin, { audience: 'files', scopes: ['files:read'] });
    expect(await (await files(`${origin}/`)).text()).toBe('ok');
    expect(count() - before).toBe(2);
  });
});
