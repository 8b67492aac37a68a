import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startLocalPostern, type LocalPostern } from '@postern/client/testing';
import { policyDocument } from '@postern/policy';
import { decodeJwt } from 'jose';
import { ACCESS_TOKEN, openWorld, policy, TOKEN_EXCHANGE, type Caller, type World } from './token-exchange.ts';

/** What a caller's own tests may lean on: the local Postern of `@postern/client/testing` answers as this service does, for one policy. */
type Subject = {
  /** A minted one is what the portal gets of it for these scopes. */
  kind: 'realm' | 'grant' | 'minted';
  client: string;
  sub?: string;
  roles?: string[];
  scopes?: string[];
  audience?: string;
  acr?: string;
  ago?: number;
};
type Case = [name: string, caller: string, subject: Subject, audiences: string[], scopes: string, told: string];

const portals: Subject = { kind: 'realm', client: 'portal', sub: 'alice', roles: ['user'] };
const granted: Subject = { kind: 'grant', client: 'job', sub: 'alice', scopes: ['records:read', 'secrets:read'] };
const minted: Subject = { ...portals, kind: 'minted', audience: 'key-proxy', scopes: ['secrets:read'] };

const document = (issuer: string) =>
  policyDocument.parse({
    ...policy,
    version: 'local',
    targets: [
      // So short that it is neither the subject's nor the profile's end that counts.
      ...policy.targets.map((target) => ({ ...target, longestLifeSeconds: 120 })),
      { audience: 'files', description: 'Outside', minter: 'provider', resources: [], longestLifeSeconds: 300 },
    ],
    scopes: [
      ...policy.scopes.map((one) => ({
        ...one,
        ...(one.name === 'secrets:write' && { decision: 'admin_required' as const }),
        ...(one.name === 'mac:compute' && { decision: 'always_deny' as const }),
        ...(one.name === 'records:audit' && { acr: ['gold'], maxAgeSeconds: 600 }),
      })),
      {
        name: 'files:read',
        description: 'Read files',
        audience: 'files',
        risk: 'low',
        decision: 'auto_approve',
        longestLifeSeconds: 300,
      },
    ],
    workloads: policy.workloads.map((one) => ({
      ...one,
      ...(one.name === 'audit-sink' && { state: 'compromised' as const }),
      asks:
        one.name === 'portal'
          ? [
              ...one.asks,
              { audience: 'files', scopes: ['files:read'], subjects: one.asks[0]!.subjects, derivedFrom: {} },
            ]
          : one.asks,
    })),
    approvals: { issuer, role: 'admin' },
  });

let world: World;
let local: LocalPostern;
let callers: Record<string, Caller>;

beforeAll(async () => {
  world = await openWorld({ document });
  const names = ['portal', 'job', 'key-proxy', 'crypto-store', 'audit-sink'];
  callers = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await world.caller(name)] as const)));
  local = await startLocalPostern({ policy: document('https://realm.example'), workload: 'portal' });
});
afterAll(() => Promise.all([world.close(), local.close()]));

const formOf = (token: string, audiences: string[], scope: string) =>
  new URLSearchParams([
    ['grant_type', TOKEN_EXCHANGE],
    ['subject_token', token],
    ['subject_token_type', ACCESS_TOKEN],
    ...audiences.map((audience): [string, string] => ['audience', audience]),
    ...(scope === '' ? [] : [['scope', scope] satisfies [string, string]]),
  ]).toString();

async function atService(caller: string, subject: Subject, audiences: string[], scope: string) {
  const { kind, client, sub = client, roles, scopes = [], acr, ago } = subject;
  const issuer = kind === 'grant' ? world.grants : world.realm;
  const login = {
    ...(acr !== undefined && { acr }),
    ...(ago !== undefined && { auth_time: Math.floor(Date.now() / 1000) - ago }),
  };
  const token = await issuer.mint({
    audience: 'token-exchange',
    sub,
    clientId: client,
    ...(roles && { roles }),
    boundTo: callers[client]!.thumbprint,
    lifetimeSeconds: 3_600,
    claims: login,
    ...(kind === 'grant' && { scopes, actors: [client], subjectIssuer: world.realm.entry.issuer }),
  });
  const first = kind === 'minted' ? await callers[client]!.exchange(token, subject.audience!, scopes.join(' ')) : null;
  return callers[caller]!.post(formOf(first ? String(first.body['access_token']) : token, audiences, scope));
}

async function postLocally(client: string, form: string) {
  const { KEYCLOAK_SERVER_URL: url, KEYCLOAK_CLIENT_SECRET: secret } = local.envOf(client);
  const answer = await fetch(`${url}/realms/local/protocol/openid-connect/token`, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      authorization: `Basic ${Buffer.from(`${client}:${secret}`).toString('base64')}`,
    },
    body: form,
  });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

async function locally(caller: string, subject: Subject, audiences: string[], scope: string) {
  const { kind, audience, ago, scopes = [], ...who } = subject;
  const token = await local.subjectToken({
    ...who,
    ...(ago !== undefined && { loggedInSecondsAgo: ago }),
    ...(kind === 'grant' && { grant: true, scopes }),
  });
  const first =
    kind === 'minted' ? await postLocally(subject.client, formOf(token, [audience!], scopes.join(' '))) : null;
  return postLocally(caller, formOf(first ? String(first.body['access_token']) : token, audiences, scope));
}

/** What an answer says that a caller can act on. */
function said({ status, body }: { status: number; body: Record<string, unknown> }) {
  const { error, error_description, scope, acr_values, max_age, access_token: token } = body;
  const told = { status, error, error_description, scope, acr_values, max_age };
  if (typeof token !== 'string') return told;
  const { sub, aud, act, tenant, client_id, roles, exp = 0, iat = 0 } = decodeJwt(token);
  return { ...told, lifetime: exp - iat, claims: { sub, aud, act, tenant, client_id, roles } };
}

const cases: Case[] = [
  ['given', 'portal', portals, ['auth-manager'], 'grants:read', '200 minted'],
  ['given without an audience', 'portal', portals, [], 'grants:read', '200 minted'],
  ['given for two', 'portal', portals, ['auth-manager', 'crypto-store'], 'grants:read records:read', '200 minted'],
  ['a workload for itself', 'job', { kind: 'realm', client: 'job' }, ['auth-manager'], 'grants:use', '200 minted'],
  ['of a grant', 'job', granted, ['crypto-store'], 'records:read', '200 minted'],
  ['passed on, by what follows from it', 'key-proxy', minted, ['crypto-store'], 'records:read', '200 minted'],
  [
    'a strong and new login',
    'portal',
    { ...portals, roles: ['auditor'], acr: 'gold', ago: 60 },
    ['crypto-store'],
    'records:audit',
    '200 minted',
  ],
  ['a permission that the policy lacks', 'job', granted, ['audit-sink'], 'audit:read', '400 invalid_target'],
  ['a scope that is not asked for', 'job', granted, ['crypto-store'], 'keys:read', '400 invalid_scope'],
  ['a scope that nobody knows', 'portal', portals, ['auth-manager'], 'grants:burn', '400 invalid_scope'],
  ['no scope', 'portal', portals, ['auth-manager'], '', '400 invalid_scope'],
  ['no audience, and scopes of two', 'portal', portals, [], 'grants:read records:read', '400 invalid_target'],
  ['beyond the grant', 'job', granted, ['crypto-store'], 'records:write', '400 invalid_scope'],
  ['beyond what was passed on', 'key-proxy', minted, ['crypto-store'], 'records:write', '400 invalid_scope'],
  ['a token that names another', 'crypto-store', minted, ['audit-sink'], 'audit:read-tenant', '400 invalid_request'],
  ['somebody else’s token', 'job', portals, ['auth-manager'], 'grants:use', '400 invalid_request'],
  ['a role that is lacking', 'portal', portals, ['audit-sink'], 'audit:read', '403 insufficient_scope'],
  [
    'a role that is included',
    'portal',
    { ...portals, roles: ['operator'] },
    ['audit-sink'],
    'audit:read',
    '200 minted',
  ],
  [
    'never given',
    'job',
    { ...granted, scopes: ['mac:compute'] },
    ['crypto-store'],
    'mac:compute',
    '403 insufficient_scope',
  ],
  [
    'a weak login',
    'portal',
    { ...portals, roles: ['auditor'], acr: 'silver' },
    ['crypto-store'],
    'records:audit',
    '401 insufficient_user_authentication',
  ],
  [
    'an old login',
    'portal',
    { ...portals, roles: ['auditor'], acr: 'gold', ago: 700 },
    ['crypto-store'],
    'records:audit',
    '401 insufficient_user_authentication',
  ],
  ['a person has to approve', 'portal', portals, ['key-proxy'], 'secrets:write', '400 authorization_pending'],
  [
    'several, one of them the provider’s',
    'portal',
    portals,
    ['auth-manager', 'files'],
    'grants:read files:read',
    '400 invalid_target',
  ],
];

test.each(cases)('%s', async (_, caller, subject, audiences, scope, told) => {
  const real = await atService(caller, subject, audiences, scope);
  expect(`${real.status} ${String(real.body['error'] ?? 'minted')}`).toBe(told);
  expect(said(await locally(caller, subject, audiences, scope))).toEqual(said(real));
});

test('a refusal names `audience` where the provider would have to sign for several, and the rule is told to the test', async () => {
  const { body } = await atService('portal', portals, ['auth-manager', 'files'], 'grants:read files:read');
  expect(body['error_description']).toMatch(/^audience: /);
  await locally('portal', portals, ['audit-sink'], 'audit:read');
  expect(local.refusals.at(-1)).toMatchObject({ client: 'portal', sub: 'alice', rule: 'role_missing' });
});
