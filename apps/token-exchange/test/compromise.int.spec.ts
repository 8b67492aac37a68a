import { createServer, type Server } from 'node:https';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { freePort } from '@postern/testing';
import { decodeJwt } from 'jose';
import { isActive, openWorld, type Caller, type World, until } from './token-exchange.ts';

let world: World;
let portal: Caller;
let job: Caller;
let keyProxy: Caller;
let sink: Server | undefined;
let sinkPort: number;
const closed: string[] = [];

beforeAll(async () => {
  sinkPort = await freePort();
  world = await openWorld({ env: { POSTERN_AUDIT_SINK_URL: `https://127.0.0.1:${sinkPort}` } });
  [portal, job, keyProxy] = await Promise.all([world.caller('portal'), world.caller('job'), world.caller('key-proxy')]);
});
afterAll(async () => {
  await new Promise((done) => (sink ? sink.close(done) : done(undefined)));
  await world.close();
});

/** The one route of audit-sink that this service calls, over mutual TLS: what it is sent, and two of its answers. */
async function openSink(): Promise<void> {
  const { POSTERN_TLS_CERT_PATH: cert, POSTERN_TLS_KEY_PATH: key, POSTERN_TLS_CA_PATH: ca } = world.env;
  sink = createServer(
    {
      cert: readFileSync(String(cert)),
      key: readFileSync(String(key)),
      ca: readFileSync(String(ca)),
      requestCert: true,
      rejectUnauthorized: true,
    },
    (request, response) => {
      const [, name = ''] = /^\/v1\/log\/producers\/([a-z-]+)\/close$/.exec(request.url ?? '') ?? [];
      closed.push(name);
      const claims = decodeJwt(String(request.headers.authorization).slice('Bearer '.length));
      expect(claims).toMatchObject({
        aud: 'audit-sink',
        scope: 'log:operate',
        tenant: 'acme',
        job: `close-log ${name}`,
      });
      response.writeHead(name === 'key-proxy' ? 200 : 400, { 'content-type': 'application/json' }).end('{}');
    },
  );
  await new Promise<void>((listening) => sink?.listen(sinkPort, '127.0.0.1', listening));
  expect((sink.address() as AddressInfo).port).toBe(sinkPort);
}

async function operator() {
  const who = { audience: 'token-exchange', sub: 'olga', clientId: 'portal', boundTo: portal.thumbprint };
  const login = await world.realm.mint({ ...who, roles: ['operator'] });
  const { body } = await portal.exchange(login, 'token-exchange', 'tokens:revoke');
  const headers = { authorization: `Bearer ${String(body['access_token'])}`, 'content-type': 'application/json' };
  return (method: 'POST' | 'DELETE', name: string) =>
    portal.call(`/v1/workloads/${name}/compromise`, {
      method,
      headers,
      ...(method === 'POST' && { body: JSON.stringify({ reason: 'its key was found elsewhere' }) }),
    });
}
const grant = () => world.jobGrant(job, { scopes: ['secrets:read'] });

test('one command: its tokens die with all in which it acts, it gets nothing, its log is closed, and it says so', async () => {
  const t = String((await job.exchange(await grant(), 'key-proxy', 'secrets:read')).body['access_token']);
  const derived = await keyProxy.exchange(t, 'crypto-store', 'records:read');
  const token = String(derived.body['access_token']);
  expect(await isActive(keyProxy, token)).toBe(true);

  const call = await operator();
  expect(await call('POST', 'nobody')).toMatchObject({ status: 404, body: { code: 'workload_not_found' } });
  // audit-sink cannot be reached yet: everything else is done, and this is said.
  expect(await call('POST', 'key-proxy')).toMatchObject({
    status: 200,
    body: {
      workload: 'key-proxy',
      client: 'key-proxy',
      tokens: 1,
      log: 'waiting',
      remaining: ['certificate', 'realm_client'],
    },
  });
  await until(async () => (await isActive(keyProxy, token)) === false);
  // The job's own token, in which key-proxy does not act, lives; but key-proxy exchanges nothing any more.
  expect(await isActive(job, t)).toBe(true);
  expect(await keyProxy.exchange(t, 'crypto-store', 'records:read')).toMatchObject({
    status: 403,
    body: { error: 'unauthorized_client' },
  });

  await openSink();
  expect((await call('POST', 'key-proxy')).body).toMatchObject({ log: 'closed' });
  expect(await call('POST', 'job')).toMatchObject({ status: 200, body: { log: 'none' } });
  expect(closed).toEqual(['key-proxy', 'job']);
  expect((await job.exchange(await grant(), 'key-proxy', 'secrets:read')).status).toBe(403);

  const events = await world.query<{ canonical: Buffer }>('select canonical from audit_outbox');
  const actions = events.map(({ canonical }) => (JSON.parse(canonical.toString('utf8')) as { action: string }).action);
  expect(actions.filter((action) => action === 'workload.log_closed')).toHaveLength(2);
  expect(actions.filter((action) => action === 'workload.compromised').length).toBeGreaterThanOrEqual(3);
});

test('trusted again it gets tokens; what was revoked stays so', async () => {
  const call = await operator();
  expect((await call('DELETE', 'job')).status).toBe(204);
  expect((await call('DELETE', 'job')).status).toBe(404);
  // Tokens of the second in which it was refused, and of the skew after, are still revoked.
  world.skew(5_000);
  const at = Math.floor(Date.now() / 1000) + 5;
  const fresh = await world.jobGrant(job, { scopes: ['secrets:read'], claims: { iat: at, exp: at + 300 } });
  expect((await job.exchange(fresh, 'key-proxy', 'secrets:read')).status).toBe(200);
});

test('only an operator', async () => {
  const who = { audience: 'token-exchange', sub: 'ada', clientId: 'portal', boundTo: portal.thumbprint };
  const login = await world.realm.mint({ ...who, roles: ['admin'] });
  const { body } = await portal.exchange(login, 'token-exchange', 'tokens:revoke');
  const reply = await portal.call('/v1/workloads/key-proxy/compromise', {
    method: 'POST',
    headers: { authorization: `Bearer ${String(body['access_token'])}`, 'content-type': 'application/json' },
    body: '{}',
  });
  expect(reply).toMatchObject({ status: 403, body: { code: 'role_missing' } });
});
