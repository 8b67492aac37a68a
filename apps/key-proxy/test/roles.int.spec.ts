import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage } from 'node:http';
import { createServer, type Server } from 'node:https';
import { type AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type AuditEvent } from '@postern/audit';
import { developmentCa } from '@postern/testing';
import { type Caller } from './caller.ts';
import { openWorld, type World } from './world.ts';

let world: World;
let job: Caller;
let upstream: Server;
let host: string;
type Seen = { method: string; url: string; headers: IncomingMessage['headers']; body: string };
const seen: Seen[] = [];
let answer: (request: Seen) => { status?: number; headers?: Record<string, string>; body: string } = () => ({
  body: '{}',
});

beforeAll(async () => {
  const leaf = await developmentCa().issue('crypto-store', { addresses: ['127.0.0.1'] });
  upstream = createServer({ cert: leaf.cert, key: leaf.key }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const one = {
        method: request.method ?? '',
        url: request.url ?? '',
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
      };
      seen.push(one);
      const { status = 200, headers = {}, body } = answer(one);
      response.writeHead(status, headers).end(body);
    });
  });
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  host = `127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  world = await openWorld({
    others: true,
    env: { POSTERN_USE_HOSTS: host, POSTERN_USE_CA_PATH: leaf.paths.ca, POSTERN_USE_PUBLIC_ADDRESSES: 'false' },
  });
  job = await world.caller('job');
}, 180_000);
afterAll(async () => {
  await world.close();
  upstream.closeAllConnections();
  await new Promise((resolve) => upstream.close(resolve));
});

const all = ['secrets:read', 'secrets:write', 'secrets:use'];
const newTenant = () => `kp_${randomUUID().replaceAll('-', '')}`;
type Who = { tenant: string; sub?: string; subjectIssuer?: string | null; roles?: string[] };
const tokenOf = (who: Who, scopes = all) => world.token(job.thumbprint, scopes, who);
const send = (method: Parameters<Caller['send']>[0], path: string, token: string, body?: object) =>
  job.send(method, `${world.url}/v1/secrets${path}`, { token, ...(body && { body }) });
const definitionWith = (more: object = {}) => ({
  host,
  placement: { kind: 'bearer' },
  methods: ['GET', 'POST'],
  path: '/v1/*',
  ...more,
});
const asks = { method: 'GET', path: '/v1/a' };

async function secretOf(
  owner: Who,
  name: string,
  value = 'value-of-the-secret-1f',
  definition: object = definitionWith(),
) {
  const token = await tokenOf(owner);
  expect((await send('POST', `/${name}`, token, { value: { text: value } })).status).toBe(201);
  expect((await send('PUT', `/${name}/use`, token, definition)).status).toBe(204);
  return token;
}

/** The verbs, each with the scope it needs and a request that is it. */
const deeds = {
  read: { scope: 'secrets:read', send: (path: string, token: string) => send('GET', path, token) },
  use: {
    scope: 'secrets:use',
    send: (path: string, token: string) => send('POST', path.replace('?', '/use?'), token, asks),
  },
  update: {
    scope: 'secrets:write',
    send: (path: string, token: string) => send('PUT', path.replace('?', '/use?'), token, definitionWith()),
  },
} as const;
type Verb = keyof typeof deeds;
const verbs = Object.keys(deeds) as Verb[];

test('role x verb x scope x tenant: what is allowed is what the model says, cell by cell, and every refusal is recorded', async () => {
  const tenant = newTenant();
  const elsewhere = newTenant();
  await secretOf({ tenant }, 'matrix');
  const alice = { tenant };
  const token = await tokenOf(alice);
  const issuer = (
    await world.rows<{ owner_issuer: string }>('select owner_issuer from secrets where tenant = $1', [tenant])
  )[0]?.owner_issuer;
  const people: { name: string; who: Who; may: readonly Verb[] | 'nobody' }[] = [
    { name: 'owner', who: alice, may: verbs },
    { name: 'a stranger of the tenant', who: { tenant, sub: 'stranger' }, may: [] },
    { name: 'an administrator of the tenant', who: { tenant, sub: 'boss', roles: ['admin'] }, may: [] },
    {
      name: 'the same person id from another issuer',
      who: { tenant, subjectIssuer: 'https://other.example/realms/x' },
      may: [],
    },
    { name: 'the same person in another tenant', who: { tenant: elsewhere }, may: [] },
    { name: 'a workload by itself', who: { tenant, sub: 'job', subjectIssuer: null }, may: 'nobody' },
  ];
  // Every set of verbs has somebody to whom it is granted.
  for (let set = 1; set < 2 ** verbs.length; set += 1) {
    const granted = verbs.filter((_, at) => set & (2 ** at));
    const sub = `grantee-${granted.join('-')}`;
    expect((await send('PUT', '/matrix/grants', token, { sub, verbs: granted })).status).toBe(204);
    people.push({ name: sub, who: { tenant, sub }, may: granted });
    // The same name in another tenant was granted nothing.
    people.push({ name: `${sub} elsewhere`, who: { tenant: elsewhere, sub }, may: [] });
  }

  const wrong: string[] = [];
  let refused = 0;
  let cells = 0;
  for (const { name, who, may } of people) {
    for (const scopes of [...all.map((scope) => [scope]), all, []]) {
      const given = await tokenOf(who, scopes);
      for (const verb of verbs) {
        const isOwner = name === 'owner';
        const of = isOwner ? '?' : `?owner=alice&owner_issuer=${encodeURIComponent(issuer ?? '')}`;
        const { status } = await deeds[verb].send(`/matrix${of}`, given);
        const expected = !scopes.includes(deeds[verb].scope)
          ? 403
          : may === 'nobody'
            ? 403
            : may.includes(verb)
              ? verb === 'update'
                ? 204
                : 200
              : 404;
        cells += 1;
        if (expected >= 400) refused += 1;
        if (status !== expected) wrong.push(`${name} with ${scopes.join(' ')} ${verb}: ${status}, not ${expected}`);
      }
    }
  }
  expect(wrong).toEqual([]);
  const [recorded] = await world.rows<{ count: string }>(
    `select count(*) from audit_outbox where convert_from(canonical, 'utf8')::jsonb ->> 'action' = 'request.refused'
     and convert_from(canonical, 'utf8')::jsonb ->> 'tenant' = any($1)`,
    [[tenant, elsewhere]],
  );
  expect({ cells, refused: Number(recorded?.count) }).toEqual({ cells: 20 * 5 * 3, refused });
}, 120_000);

test('only the owner grants: a grantee of everything cannot pass it on, and who is granted nothing learns of no secret', async () => {
  const tenant = newTenant();
  const token = await secretOf({ tenant }, 'passed');
  const bob = { tenant, sub: 'bob' };
  await send('PUT', '/passed/grants', token, { sub: 'bob', verbs: ['read', 'use', 'update', 'delete'] });
  const given = await tokenOf(bob);
  expect((await send('PUT', '/passed/grants', given, { sub: 'carol', verbs: ['read'] })).status).toBe(404);
  expect((await send('GET', '/passed/grants', given)).status).toBe(404);
  expect(await send('GET', '/passed/grants', token)).toMatchObject({ body: { grants: [{ sub: 'bob' }] } });
  const [none, absent] = await Promise.all(
    ['/passed?owner=alice', '/never?owner=alice'].map(async (path) =>
      send('GET', path, await tokenOf({ tenant, sub: 'x' })),
    ),
  );
  expect({ ...none?.body, request: '' }).toEqual({ ...absent?.body, request: '' });
  expect((await send('PUT', '/passed/grants', token, { sub: 'x', verbs: ['admin'] })).status).toBe(400);
});

test('R32: a grant that is withdrawn while the value is on its way releases nothing', async () => {
  const tenant = newTenant();
  const token = await secretOf({ tenant }, 'withdrawn');
  await send('PUT', '/withdrawn/grants', token, { sub: 'bob', verbs: ['read', 'use'] });
  const bob = await tokenOf({ tenant, sub: 'bob' });
  expect((await send('GET', '/withdrawn?owner=alice', bob)).status).toBe(200);
  const before = seen.length;
  world.store?.pause();
  const [reading, using] = [
    send('GET', '/withdrawn?owner=alice', bob),
    send('POST', '/withdrawn/use?owner=alice', bob, asks),
  ];
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect((await send('DELETE', '/withdrawn/grants?sub=bob', token)).status).toBe(204);
  world.store?.resume();
  const answers = await Promise.all([reading, using]);
  for (const { status, body } of answers) {
    expect([404, 503]).toContain(status);
    expect(JSON.stringify(body)).not.toContain('value-of-the-secret');
  }
  expect(seen).toHaveLength(before);
});

test('R37: a use sends the secret to the defined host only, in its place, and gives out the status and the declared fields', async () => {
  const tenant = newTenant();
  const secret = 'sk-live-51Hx8Q2zKq';
  const token = await secretOf(
    { tenant },
    'used',
    secret,
    definitionWith({ answer_fields: ['id', 'echo', 'part'], caller_headers: ['x-a'] }),
  );
  answer = ({ headers }) => ({
    status: 201,
    headers: { 'x-echo': String(headers['authorization']), 'content-type': 'application/json' },
    body: JSON.stringify({
      id: 7,
      echo: headers['authorization'],
      part: secret.slice(2, 12),
      other: headers['authorization'],
    }),
  });
  const used = await send('POST', '/used/use', token, {
    method: 'POST',
    path: '/v1/a',
    headers: { 'X-A': 'b' },
    body: '{}',
  });
  expect(used).toMatchObject({ status: 200, body: { status: 201, body: null } });
  expect(used.body['fields']).toEqual({ id: 7, echo: 'Bearer [redacted]', part: '[redacted]' });
  expect(seen.at(-1)).toMatchObject({
    method: 'POST',
    url: '/v1/a',
    body: '{}',
    headers: { host, authorization: `Bearer ${secret}`, 'x-a': 'b', 'accept-encoding': 'identity' },
  });
  expect((await send('PUT', '/used/use', token, definitionWith({ full_answer: true }))).status).toBe(403);

  const events = (
    await world.rows<{ event: string }>(`select convert_from(canonical, 'utf8') as event from audit_outbox order by id`)
  )
    .map(({ event }) => JSON.parse(event) as AuditEvent)
    .filter((event) => event.tenant === tenant && event.action === 'secret.used');
  expect(events.map(({ outcome, details }) => [outcome, details['host'], details['status']])).toEqual([
    ['intent', host, undefined],
    ['success', host, 201],
  ]);
  answer = () => ({ body: '{}' });
});

test('R35: no address trick gets a use out: redirects, other names, private, metadata and mapped addresses; the canary sees nothing', async () => {
  const tenant = newTenant();
  const token = await secretOf({ tenant }, 'tricks');
  const port = host.split(':')[1];
  const before = seen.length;
  const refused = [
    `localhost:${port}`,
    `127.0.0.2:${port}`,
    `127.1:${port}`,
    `2130706433:${port}`,
    `0x7f000001:${port}`,
    `0177.0.0.1:${port}`,
    `[::1]:${port}`,
    `[::ffff:127.0.0.1]:${port}`,
    `[::ffff:7f00:1]:${port}`,
    `[64:ff9b::7f00:1]:${port}`,
    `0.0.0.0:${port}`,
    '169.254.169.254',
    '[fd00:ec2::254]',
    '10.0.0.1',
    '100.64.0.1',
    'metadata.google.internal',
  ];
  const tried: [string, number][] = [];
  for (const target of refused) {
    const defined = await send('PUT', '/tricks/use', token, definitionWith({ host: target }));
    const { status } = defined.status === 204 ? await send('POST', '/tricks/use', token, asks) : defined;
    tried.push([target, status]);
  }
  expect(tried.filter(([, status]) => ![400, 403, 502].includes(status))).toEqual([]);
  expect(seen).toHaveLength(before);

  await send('PUT', '/tricks/use', token, definitionWith());
  answer = () => ({ status: 302, headers: { location: `https://${host}/v1/elsewhere` }, body: '' });
  expect(await send('POST', '/tricks/use', token, asks)).toMatchObject({
    status: 502,
    body: { code: 'use_unreachable' },
  });
  answer = () => ({ headers: { 'content-encoding': 'gzip' }, body: 'x' });
  expect((await send('POST', '/tricks/use', token, asks)).status).toBe(502);
  answer = () => ({ body: 'x'.repeat(300_000) });
  expect((await send('POST', '/tricks/use', token, asks)).status).toBe(502);
  expect(seen.slice(before).map(({ url }) => url)).toEqual(['/v1/a', '/v1/a', '/v1/a']);
  answer = () => ({ body: '{}' });
});

test('what was used is in no log, and not in the tables', async () => {
  const tenant = newTenant();
  const token = await secretOf({ tenant }, 'quiet', 'canary-used-77c0-value');
  answer = () => ({ body: '{"id":"canary-used-77c0-value"}' });
  await send('POST', '/quiet/use', token, asks);
  await send('POST', '/quiet/use', token, { ...asks, path: '/v1/canary-used-77c0-value/x' });
  const tables = await world.rows<{ all: string }>(
    `select (select json_agg(u)::text from secret_uses u) || (select string_agg(convert_from(canonical, 'utf8'), '') from audit_outbox) as all`,
  );
  const places = [...world.logged, tables[0]?.all ?? ''].join('\n');
  expect(places.length).toBeGreaterThan(1_000);
  for (const form of ['canary-used-77c0-value', Buffer.from('canary-used-77c0-value').toString('base64')])
    expect(places).not.toContain(form);
});
