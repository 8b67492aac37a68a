import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { request, type Dispatcher } from 'undici';
import { walkRoutes } from '../src/walk-routes.ts';
import { routesOn } from '../src/index.ts';
import { SERVICE, testService, type TestService } from './service.ts';

let service: TestService;
let job: Dispatcher;

beforeAll(async () => {
  service = await testService();
  job = await service.agentOf('job');
});
afterAll(async () => {
  await service.close();
});
afterEach(() => {
  delete service.hooks.beforeRelease;
  delete service.hooks.during;
});

type Call = {
  method?: Dispatcher.HttpMethod;
  scopes?: string[];
  roles?: string[];
  body?: unknown;
  headers?: Record<string, string>;
  dispatcher?: Dispatcher;
  token?: string | null;
};

async function call(
  path: string,
  {
    method = 'GET',
    scopes = ['records:read', 'records:write'],
    roles = [],
    body,
    headers = {},
    dispatcher = job,
    token,
  }: Call = {},
) {
  const bearer = token === undefined ? await service.mint({ scopes, roles }) : token;
  const answer = await request(`${path.startsWith('http') ? '' : service.urls.api}${path}`, {
    dispatcher,
    method,
    headers: {
      ...(bearer === null ? {} : { authorization: `Bearer ${bearer}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    body: body === undefined ? null : JSON.stringify(body),
  });
  const text = await answer.body.text();
  return {
    status: answer.statusCode,
    headers: answer.headers,
    text,
    json: () => JSON.parse(text) as Record<string, unknown>,
  };
}

const create = async (body = 'a thing') => (await call('/things', { method: 'POST', body: { body } })).json();
const last = async () => (await service.events()).at(-1);

describe('a body of bytes', () => {
  const blob = `/blobs/${crypto.randomUUID()}`;
  const put = async (bytes: Buffer, headers: Record<string, string>) => {
    const token = await service.mint({ scopes: ['records:write'] });
    const answer = await request(`${service.urls.api}${blob}`, {
      dispatcher: job,
      method: 'PUT',
      headers: { authorization: `Bearer ${token}`, ...headers },
      body: bytes,
    });
    const came = Buffer.from(await answer.body.arrayBuffer());
    return {
      status: answer.statusCode,
      type: answer.headers['content-type'],
      hash: answer.headers['request-hash'],
      came,
    };
  };

  test('comes and goes as it is, with its type in one spelling', async () => {
    const bytes = Buffer.from([0, 255, 254, 10, 0]);
    expect(await put(bytes, { 'content-type': 'application/octet-stream' })).toMatchObject({
      status: 200,
      came: bytes,
    });
    const text = Buffer.from('Grüße');
    const answer = await put(text, { 'content-type': 'Text/Plain; Charset="UTF-8"' });
    expect(answer).toMatchObject({ status: 200, type: 'text/plain; charset=utf-8', came: text });
    expect(await put(Buffer.alloc(0), { 'content-type': 'text/plain' })).toMatchObject({ status: 200 });
  });

  test('that is not what it says, of another type, or too large is refused', async () => {
    const statusOf = async (bytes: Buffer, type: string) => (await put(bytes, { 'content-type': type })).status;
    expect(await statusOf(Buffer.from([0xff]), 'text/plain')).toBe(400);
    expect(await statusOf(Buffer.from('{'), 'application/json')).toBe(400);
    expect(await statusOf(Buffer.alloc(0), 'application/json')).toBe(400);
    expect(await statusOf(Buffer.from('x'), 'image/png')).toBe(415);
    expect(await statusOf(Buffer.from('x'), 'text/plain; charset=latin1')).toBe(415);
    expect(await statusOf(Buffer.alloc(1001), 'application/octet-stream')).toBe(413);
  });

  test('is part of the request that an Idempotency-Key stands for', async () => {
    const hashOf = async (body: string) =>
      (await put(Buffer.from(body), { 'content-type': 'text/plain', 'idempotency-key': 'one' })).hash;
    expect(await hashOf('a')).toBe(await hashOf('a'));
    expect(await hashOf('a')).not.toBe(await hashOf('b'));
  });

  test('HEAD is a route of its own: recorded, without a body, with the length it leaves out', async () => {
    const { status, headers, text } = await call(blob, { method: 'HEAD' });
    expect({ status, length: headers['content-length'], text }).toEqual({ status: 200, length: '7', text: '' });
    expect(await last()).toMatchObject({ action: 'record.read', outcome: 'success' });
    expect((await call(`/things/${crypto.randomUUID()}`, { method: 'HEAD' })).status).toBe(405);
  });
});

test('each item of one request is an event of its own, proven fresh by itself (R32)', async () => {
  const { id } = await create();
  const gone = crypto.randomUUID();
  const answer = await call('/many', { method: 'POST', body: { ids: [id, gone] } });
  expect(answer.json()).toEqual({ fresh: [true, false] });
  const events = (await service.events()).slice(-2);
  expect(events.map(({ action, resource }) => [action, (resource as { id?: string } | undefined)?.id])).toEqual([
    ['record.read', id],
    ['record.listed', undefined],
  ]);
});

describe('a route that is declared once', () => {
  test('creates and reads, each with its event committed before the answer', async () => {
    const created = await create();
    expect(await last()).toMatchObject({
      action: 'record.written',
      outcome: 'success',
      tenant: 'acme',
      details: { bytes: 7 },
    });
    const read = await call(`/things/${String(created['id'])}`, {
      headers: { 'x-request-id': 'abc-1', traceparent: `00-${'a1'.repeat(16)}-${'b2'.repeat(8)}-01` },
    });
    expect(read.status).toBe(200);
    expect(read.json()).toEqual(created);
    expect(read.headers).toMatchObject({
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-request-id': 'abc-1',
    });
    expect(await last()).toMatchObject({
      action: 'record.read',
      actor: { person: { sub: 'alice' }, client: 'job', workload: 'job' },
      request: 'abc-1',
      trace: 'a1'.repeat(16),
      source: { address: '127.0.0.1' },
    });
  });

  test('R32: a read that was overtaken before its commit is read again', async () => {
    const { id } = await create('before');
    let reads = 0;
    service.hooks.beforeRelease = async () => {
      reads += 1;
      if (reads === 1)
        await service.postgres.query('update things set version = 2, body = $2 where id = $1', [id, 'after']);
    };
    const read = await call(`/things/${String(id)}`);
    expect([reads, read.json()]).toEqual([2, { id, version: 2, body: 'after' }]);
  });

  test('R32: a read that is overtaken every time is 503 with Retry-After, and releases nothing', async () => {
    const { id } = await create('before');
    service.hooks.beforeRelease = async () => {
      await service.postgres.query('update things set version = version + 1 where id = $1', [id]);
    };
    const read = await call(`/things/${String(id)}`);
    expect([read.status, read.json()['code'], read.headers['retry-after']]).toEqual([503, 'read_stale', '1']);
    expect(read.text).not.toContain('before');
  });

  test('R23: an effect leaves an intent and an outcome', async () => {
    const { id } = await create();
    const deleted = await call(`/things/${String(id)}`, { method: 'DELETE', roles: ['admin'] });
    expect([deleted.status, deleted.text]).toEqual([204, '']);
    const pair = (await service.events()).slice(-2);
    expect(pair.map(({ outcome }) => outcome)).toEqual(['intent', 'success']);
    const again = await call(`/things/${String(id)}`, { method: 'DELETE', roles: ['admin'] });
    expect(again.status).toBe(404);
    expect((await service.events()).slice(-3).map(({ action, outcome, reason }) => [action, outcome, reason])).toEqual([
      ['record.deleted', 'intent', undefined],
      ['record.deleted', 'failed', 'thing_not_found'],
      ['request.refused', 'refused', 'thing_not_found'],
    ]);
  });

  test('an Idempotency-Key creates once', async () => {
    const headers = { 'idempotency-key': 'one-and-the-same' };
    const [first, second] = [
      await call('/things', { method: 'POST', body: { body: 'x' }, headers }),
      await call('/things', { method: 'POST', body: { body: 'x' }, headers }),
    ];
    expect(first.json()).toEqual(second.json());
  });

  test('a page, a redirect and a stream leave after their events', async () => {
    const publicUrl = service.urls.public ?? '';
    const page = await call(`${publicUrl}/page`, { dispatcher: service.anonymous, token: null });
    expect([page.status, page.text, page.headers['content-type']]).toEqual([
      200,
      '<p>hello</p>',
      'text/html; charset=utf-8',
    ]);
    const redirect = await call(`${publicUrl}/page?to=x`, { dispatcher: service.anonymous, token: null });
    expect([redirect.status, redirect.headers['location'], redirect.headers['set-cookie']]).toEqual([
      303,
      '/elsewhere',
      '__Host-s=1; Secure; Path=/',
    ]);
    expect(await last()).toMatchObject({ action: 'login.succeeded', tenant: null });
    const stream = await call('/stream');
    expect(stream.text).toBe('{"a":1}\n{"a":2}\n');
  });

  test('no answer is committed and then not given: a body that breaks its schema is refused before its event', async () => {
    const before = (await service.events()).filter(({ action }) => action === 'record.read').length;
    const leaks = await call('/broken/leaks');
    expect([leaks.status, leaks.json()['code']]).toEqual([500, 'internal_error']);
    expect(leaks.text).not.toContain('canary');
    expect((await service.events()).filter(({ action }) => action === 'record.read').length).toBe(before);
  });

  test('what was not released for the route does not leave', async () => {
    expect((await call('/broken/open')).status).toBe(500);
  });

  test('an unknown error is 500 without its text, in the answer and in the log', async () => {
    const answer = await call('/broken/throws');
    expect([answer.status, answer.json()['title']]).toEqual([500, 'Something went wrong here']);
    expect(answer.text + service.log.join('')).not.toContain('canary');
    expect(await last()).toMatchObject({ action: 'request.refused', outcome: 'failed', reason: 'internal_error' });
  });
});

describe('the guard', () => {
  test('says what is missing: token, scope, role (RFC 6750)', async () => {
    const id = crypto.randomUUID();
    const none = await call(`/things/${id}`, { token: null });
    expect([none.status, none.headers['www-authenticate']]).toEqual([
      401,
      expect.stringMatching(/^Bearer realm="postern", DPoP /),
    ]);
    const scope = await call(`/things/${id}`, { scopes: ['records:write'] });
    expect([scope.status, scope.json()['code']]).toEqual([403, 'insufficient_scope']);
    expect(scope.headers['www-authenticate']).toContain('error="insufficient_scope", scope="records:read"');
    expect(await last()).toMatchObject({
      action: 'request.refused',
      reason: 'scope_missing',
      details: { route: 'GET /things/:id', status: 403 },
    });
    expect((await call(`/things/${id}`, { method: 'DELETE' })).json()['code']).toBe('role_missing');
  });

  test('a token that is bound to another certificate is refused (R8)', async () => {
    const portal = await service.agentOf('portal');
    const answer = await call(`/things/${crypto.randomUUID()}`, { dispatcher: portal });
    expect([answer.status, answer.json()['code']]).toEqual([401, 'invalid_token']);
  });

  test('R4: a certificate of our CA whose SPIFFE id the table does not know is nobody', async () => {
    const unknown = await service.agentOf('redis-bus');
    const answer = await call('/internal/ping', { method: 'POST', dispatcher: unknown, token: null });
    expect([answer.status, answer.json()['code']]).toEqual([403, 'workload_unknown']);
  });

  test('R5: a workload route takes the listed workloads only', async () => {
    expect((await call('/internal/ping', { method: 'POST', token: null })).json()).toEqual({ workload: 'job' });
    const portal = await service.agentOf('portal');
    expect((await call('/internal/ping', { method: 'POST', token: null, dispatcher: portal })).json()['code']).toBe(
      'workload_refused',
    );
    expect(await last()).toMatchObject({ action: 'request.refused', actor: { workload: 'portal' } });
  });
});

describe('bad input', () => {
  test('every route refuses what it must, from its own declaration, and nothing changes', async () => {
    const report = await walkRoutes(service.app, {
      urls: service.urls,
      dispatcher: job,
      anonymous: service.anonymous,
      token: ({ kind, ...rest }) => service.mint({ ...rest, kind: kind === 'right' ? 'postern-access' : 'grant' }),
      params: { id: crypto.randomUUID(), how: 'throws' },
      state: () => service.postgres.query('select count(*) from things'),
    });
    expect(report.failures).toEqual([]);
    expect(report.tried).toBeGreaterThan(80);
  });

  test('a problem names the field and the rule, never the value', async () => {
    const answer = await call('/things', {
      method: 'POST',
      body: { body: 'canary'.repeat(30), extra: 'canary', nested: [{ a: 'canary' }] },
    });
    expect(answer.json()).toMatchObject({
      type: 'urn:postern:problem:invalid_input',
      errors: [
        { field: 'body.body', rule: 'too_big' },
        { field: 'body.nested.0.a', rule: 'not_number' },
        { field: 'body.extra', rule: 'unknown_field' },
      ],
    });
    expect(answer.text + service.log.join('')).not.toContain('canary');
  });

  test('OAuth routes answer errors as RFC 6749 says', async () => {
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const post = async (body: string) => {
      const answer = await request(`${service.urls.public ?? ''}/token`, {
        dispatcher: service.anonymous,
        method: 'POST',
        headers: form,
        body,
      });
      return [answer.statusCode, await answer.body.json()];
    };
    expect(await post('token=bad')).toEqual([
      400,
      { error: 'invalid_grant', error_description: 'The grant is not accepted' },
    ]);
    expect(await post('token=a&token=b')).toMatchObject([
      400,
      { error: 'invalid_request', error_description: expect.stringContaining('token: not_string') },
    ]);
    expect(await post('token=a&audience=x&audience=y')).toEqual([200, { revoked: true }]);
  });

  test('R17: the public listener answers its list of routes and nothing else', async () => {
    expect(routesOn(service.app, 'public')).toEqual(['GET /page', 'POST /token']);
    const answer = await call(`${service.urls.public ?? ''}/things/${crypto.randomUUID()}`, {
      dispatcher: service.anonymous,
      token: null,
    });
    expect([answer.status, answer.json()['code']]).toEqual([404, 'route_not_found']);
  });

  test('broken percent-encoding and NUL in a path are 400', async () => {
    expect((await call('/things/%E0%A4%A')).status).toBe(400);
    expect((await call('/broken/%00')).status).toBe(400);
  });
});

describe('operations', () => {
  const get = async (path: string, headers = {}) => {
    const answer = await request(`${service.urls.management}${path}`, { headers });
    return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() };
  };

  test('health, version and metrics answer on the management listener', async () => {
    expect(JSON.parse((await get('/health')).text)).toEqual({
      status: 'ok',
      checks: { postgres: 'ok', audit: 'ok' },
      took_ms: { postgres: expect.any(Number), audit: expect.any(Number) },
    });
    expect((await get('/health/live')).status).toBe(200);
    expect(JSON.parse((await get('/version')).text)).toMatchObject({ service: SERVICE, profile: 'fedramp-moderate' });
    const { text } = await get('/metrics');
    expect(text).toContain('route="/things/:id",status="200"');
  });

  test('the newest traced request of each duration is its exemplar, for a scraper that takes it; one that is not sampled is none', async () => {
    const { id } = await create();
    const traced = (trace: string, flags: string) =>
      call(`/things/${String(id)}`, { headers: { traceparent: `00-${trace.repeat(16)}-${'b2'.repeat(8)}-${flags}` } });
    await traced('c3', '01');
    await traced('d4', '00');
    const accept = 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5';
    const { text, headers } = await get('/metrics', { accept });
    expect(headers['content-type']).toMatch(/^application\/openmetrics-text; version=1\.0\.0/);
    const exemplars = text.match(/^http_server_request_duration_seconds_bucket\{.*route="\/things\/:id".* # .*$/gm);
    expect(exemplars?.join('\n')).toMatch(/ # \{trace_id="(c3){16}"\} [\d.]+ [\d.]+$/m);
    expect(text).not.toContain('d4'.repeat(16));
    expect((await get('/metrics')).text).not.toContain('trace_id');
  });

  test('the OpenAPI document is 3.1, made from the declarations', async () => {
    const document = JSON.parse((await get('/openapi.json')).text) as {
      openapi: string;
      paths: Record<string, Record<string, Record<string, unknown>>>;
    };
    expect(document.openapi).toBe('3.1.0');
    const read = document.paths['/things/{id}']?.['get'];
    expect(read).toMatchObject({
      'x-scope': 'records:read',
      security: [{ mutualTls: [], token: ['records:read'] }],
      parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'string', format: 'uuid' } }],
    });
    expect(Object.keys(read?.['responses'] as object)).toEqual(['200', '400', '401', '403', '404', '500', '503']);
    expect(Object.keys(document.paths)).not.toContain('/health');
  });

  test('the API reference loads nothing from elsewhere', async () => {
    const page = await get('/docs');
    expect(page.text).not.toMatch(/https?:\/\//);
    expect(page.text).toContain('"showDeveloperTools":"never"');
    expect(page.headers['content-security-policy']).toContain("script-src 'self'");
    const script = await get('/docs/scalar.js');
    expect([script.status, script.headers['content-type']]).toEqual([200, 'text/javascript; charset=utf-8']);
    expect(script.text.length).toBeGreaterThan(100_000);
  });
});
