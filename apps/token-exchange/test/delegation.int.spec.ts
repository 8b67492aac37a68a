import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { policyDocument } from '@postern/policy';
import { decodeJwt } from 'jose';
import { openWorld, policy, type Caller, type World } from './token-exchange.ts';

const asks: Record<string, object[]> = {
  'crypto-store': [
    {
      audience: 'audit-sink',
      scopes: ['lines:read'],
      subjects: [
        { kind: 'postern-access', clients: ['key-proxy'], person: 'required' },
        { kind: 'postern-access', clients: ['auth-manager'], person: 'none' },
      ],
      derivedFrom: { 'lines:read': ['records:read'] },
    },
  ],
  'auth-manager': [
    {
      audience: 'crypto-store',
      scopes: ['records:read'],
      subjects: [{ kind: 'postern-access', clients: ['job'], person: 'none' }],
      derivedFrom: { 'records:read': ['grants:use'] },
    },
  ],
};

/** crypto-store may ask on, for whoever came through key-proxy: a third workload in the chain. */
const longer = policyDocument.parse({
  ...policy,
  version: 'longer',
  scopes: [
    ...policy.scopes,
    {
      name: 'lines:read',
      description: 'Read lines',
      audience: 'audit-sink',
      risk: 'low',
      decision: 'auto_approve',
      longestLifeSeconds: 300,
    },
  ],
  workloads: policy.workloads.map((workload) => ({ ...workload, asks: asks[workload.name] ?? workload.asks })),
});

let world: World;
const names = ['portal', 'job', 'key-proxy', 'crypto-store', 'auth-manager'] as const;
let callers: Record<(typeof names)[number], Caller>;

beforeAll(async () => {
  world = await openWorld({ document: longer });
  const opened = await Promise.all(names.map(async (name) => [name, await world.caller(name)] as const));
  callers = Object.fromEntries(opened) as typeof callers;
});
afterAll(() => world.close());

const exchanged = async (by: keyof typeof callers, subject: string, audience: string, scope: string) => {
  const { status, body, text } = await callers[by].exchange(subject, audience, scope);
  expect([status, text]).toEqual([200, text]);
  return String(body['access_token']);
};

test('a person, then three workloads after each other: the last token names all of them, and so does its lineage', async () => {
  const grant = await world.grants.mint({
    kind: 'grant',
    audience: 'token-exchange',
    sub: 'grace',
    clientId: 'job',
    actors: ['job'],
    scopes: ['secrets:read', 'records:read'],
    boundTo: callers.job.thumbprint,
    grantId: 'grant-delegation',
  });
  const first = await exchanged('job', grant, 'key-proxy', 'secrets:read');
  const second = await exchanged('key-proxy', first, 'crypto-store', 'records:read');
  const third = await exchanged('crypto-store', second, 'audit-sink', 'lines:read');
  const claims = decodeJwt(third);
  expect(claims['act']).toEqual({ sub: 'crypto-store', act: { sub: 'key-proxy', act: { sub: 'job' } } });
  expect(claims.sub).toBe(decodeJwt(grant).sub);
  // A token lives no longer than what it came from.
  expect(claims.exp).toBeLessThanOrEqual(Number(decodeJwt(second).exp));

  const login = await world.realm.mint({
    audience: 'token-exchange',
    clientId: 'portal',
    roles: ['auditor'],
    boundTo: callers.portal.thumbprint,
  });
  const auditor = await exchanged('portal', login, 'token-exchange', 'exchanges:read');
  const headers = { authorization: `Bearer ${auditor}` };
  const lineage = (token: string) => callers.portal.call(`/v1/exchanges/${decodeJwt(token).jti}`, { headers });
  expect((await lineage(third)).body).toMatchObject({
    exchange: { workload: 'crypto-store', actors: ['crypto-store', 'key-proxy', 'job'], person: { sub: 'grace' } },
    ancestors: expect.arrayContaining([
      expect.objectContaining({ id: decodeJwt(first).jti, actors: ['job'] }),
      expect.objectContaining({ id: decodeJwt(second).jti, actors: ['key-proxy', 'job'] }),
    ]),
    descendants: [],
  });
  const { descendants } = (await lineage(first)).body as { descendants: { id: string }[] };
  expect(descendants.map(({ id }) => id).sort()).toEqual([decodeJwt(second).jti, decodeJwt(third).jti].sort());
});

test('a workload that speaks for itself, then two others: the last token is still about the first', async () => {
  const own = await world.realm.mint({
    audience: 'token-exchange',
    sub: 'job',
    clientId: 'job',
    boundTo: callers.job.thumbprint,
  });
  const first = await exchanged('job', own, 'auth-manager', 'grants:use');
  const second = await exchanged('auth-manager', first, 'crypto-store', 'records:read');
  const third = await exchanged('crypto-store', second, 'audit-sink', 'lines:read');
  expect([first, second, third].map((token) => decodeJwt(token).sub)).toEqual(['job', 'job', 'job']);
  expect(decodeJwt(third)).toMatchObject({
    client_id: 'crypto-store',
    act: { sub: 'crypto-store', act: { sub: 'auth-manager' } },
  });
});
