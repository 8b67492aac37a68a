import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Caller } from './caller.ts';
import { startUpstream, type Upstream } from './upstream.ts';
import { openWorld, type World } from './world.ts';

let world: World;
let job: Caller;
let upstream: Upstream;

beforeAll(async () => {
  upstream = await startUpstream();
  world = await openWorld({ others: true, env: upstream.env });
  job = await world.caller('job');
}, 180_000);
afterAll(async () => {
  await world?.close();
  await upstream?.close();
});

const all = ['secrets:read', 'secrets:write', 'secrets:use'];
const newTenant = () => `kp_${randomUUID().replaceAll('-', '')}`;
type Who = { tenant: string; sub?: string; subjectIssuer?: string | null; roles?: string[] };
const tokenOf = (who: Who, scopes = all) => world.token(job.thumbprint, scopes, who);
const send = (method: Parameters<Caller['send']>[0], path: string, token: string, body?: object) =>
  job.send(method, `${world.url}/v1/secrets${path}`, { token, ...(body && { body }) });
const definitionWith = (more: object = {}) => ({
  host: upstream.host,
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
  const before = upstream.seen.length;
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
  expect(upstream.seen).toHaveLength(before);
});
