import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Reply } from './caller.ts';
import { asks, newTenant, openUsedSecrets, scopes as all, type UsedSecrets, type Who } from './used-secrets.ts';

let world: UsedSecrets['world'];
let upstream: UsedSecrets['upstream'];
let send: UsedSecrets['send'];
let definitionWith: UsedSecrets['definitionWith'];
let tokenOf: UsedSecrets['tokenOf'];
let secretOf: UsedSecrets['secretOf'];
let close: UsedSecrets['close'];

beforeAll(async () => {
  ({ world, upstream, send, definitionWith, tokenOf, secretOf, close } = await openUsedSecrets());
}, 180_000);
afterAll(() => close?.());

/** The verbs, each with the scope it needs, a request that is it, and what is answered where it is done. */
const deeds = {
  read: { scope: 'secrets:read', done: 200, send: (path: string, token: string) => send('GET', path, token) },
  use: {
    scope: 'secrets:use',
    done: 200,
    send: (path: string, token: string) => send('POST', path.replace('?', '/use?'), token, asks),
  },
  update: {
    scope: 'secrets:write',
    done: 204,
    send: (path: string, token: string) => send('PUT', path.replace('?', '/use?'), token, definitionWith()),
  },
  delete: {
    scope: 'secrets:delete',
    done: 200,
    // Who may delete takes it back as well, so that the next one finds it there.
    async send(path: string, token: string): Promise<Reply> {
      const deleted = await send('DELETE', path, token);
      return deleted.status === 200 ? send('POST', path.replace('?', '/recover?'), token) : deleted;
    },
  },
} as const;
type Verb = keyof typeof deeds;
const verbs = Object.keys(deeds) as Verb[];

test('role x verb x scope x tenant: what is allowed is what the model says, cell by cell, and every refusal is recorded', async () => {
  const tenant = newTenant();
  const elsewhere = newTenant();
  await secretOf(tenant, 'matrix');
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
  }
  // The same name in another tenant was granted nothing.
  const full = `grantee-${verbs.join('-')}`;
  people.push({ name: `${full} elsewhere`, who: { tenant: elsewhere, sub: full }, may: [] });

  const cells: { name: string; expected: number; send: () => Promise<Reply> }[] = [];
  for (const { name, who, may } of people) {
    const of = name === 'owner' ? '?' : `?owner=alice&owner_issuer=${encodeURIComponent(issuer ?? '')}`;
    for (const scopes of [...all.map((scope) => [scope]), all, []]) {
      const given = await tokenOf(who, scopes);
      for (const verb of verbs) {
        const { scope, done, send: ask } = deeds[verb];
        const expected = !scopes.includes(scope) || may === 'nobody' ? 403 : may.includes(verb) ? done : 404;
        cells.push({
          name: `${name} with ${scopes.join(' ')}: ${verb}`,
          expected,
          send: () => ask(`/matrix${of}`, given),
        });
      }
    }
  }

  const wrong: string[] = [];
  const tryOne = async ({ name, expected, send: ask }: (typeof cells)[number]) => {
    const { status } = await ask();
    if (status !== expected) wrong.push(`${name}: ${status}, not ${expected}`);
  };
  // What is refused changes nothing and needs no turn; what is done is done one after the other.
  const refused = cells.filter(({ expected }) => expected >= 400);
  for (let at = 0; at < refused.length; at += 8) await Promise.all(refused.slice(at, at + 8).map(tryOne));
  for (const cell of cells.filter(({ expected }) => expected < 400)) await tryOne(cell);
  expect(wrong).toEqual([]);
  const [recorded] = await world.rows<{ count: string }>(
    `select count(*) from audit_outbox where convert_from(canonical, 'utf8')::jsonb ->> 'action' = 'request.refused'
     and convert_from(canonical, 'utf8')::jsonb ->> 'tenant' = any($1)`,
    [[tenant, elsewhere]],
  );
  expect([cells.length, refused.length, Number(recorded?.count)]).toEqual([22 * 6 * 4, 456, 456]);
});

test('only the owner grants: a grantee of everything cannot pass it on, and who is granted nothing learns of no secret', async () => {
  const tenant = newTenant();
  const token = await secretOf(tenant, 'passed');
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
  const token = await secretOf(tenant, 'withdrawn');
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
