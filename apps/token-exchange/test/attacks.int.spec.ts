import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { request } from 'undici';
import { ACCESS_TOKEN, openWorld, TOKEN_EXCHANGE, type Caller, type Reply, type World } from './token-exchange.ts';

let world: World;
let portal: Caller;
let job: Caller;
let keyProxy: Caller;
let stranger: Caller;

beforeAll(async () => {
  world = await openWorld();
  [portal, job, keyProxy, stranger] = await Promise.all([
    world.caller('portal'),
    world.caller('job'),
    world.caller('key-proxy'),
    world.caller('postgres'),
  ]);
});
afterAll(() => world.close());

type Over = Parameters<World['realm']['mint']>[0];
const alice = (over: Partial<Over> = {}) =>
  world.realm.mint({
    audience: 'token-exchange',
    clientId: 'portal',
    roles: ['user'],
    boundTo: portal.thumbprint,
    ...over,
  });
const grant = (over: Partial<Over> = {}) =>
  world.grants.mint({
    kind: 'grant',
    audience: 'token-exchange',
    clientId: 'job',
    actors: ['job'],
    scopes: ['records:read'],
    boundTo: job.thumbprint,
    ...over,
  });

const counted = () => world.query<{ count: string }>('select count(*) from exchanges').then(([row]) => row?.count);

/** Nothing was minted, the answer is an OAuth error, and it shows nothing that was sent. */
async function refused(reply: Promise<Reply>): Promise<string> {
  const before = await counted();
  const { status, body, text } = await reply;
  expect(await counted()).toBe(before);
  expect(text).not.toContain('access_token');
  expect(Object.keys(body).toSorted()).toEqual(['error', 'error_description']);
  return `${status} ${String(body['error'])}`;
}

const asked = (token: string) => portal.exchange(token, 'auth-manager', 'grants:read');
const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const parts = (token: string) =>
  token.split('.').map(
    (part) =>
      JSON.parse(
        Buffer.from(part, 'base64url')
          .toString('latin1')
          .replace(/^[^{].*/s, 'null'),
      ) as object,
  );

test('the token of these tests is good as it is', async () => {
  expect((await asked(await alice())).status).toBe(200);
});

describe('R7: a subject that is no such token', () => {
  test('alg none; HS256 with the public key; another key under the same kid', async () => {
    const [header, claims] = parts(await alice());
    for (const alg of ['none', 'None']) {
      expect(await refused(asked(`${encoded({ ...header, alg })}.${encoded(claims)}.AAAA`))).toBe(
        '400 invalid_request',
      );
    }
    const jwks = await request(world.realm.entry.jwksUri, { dispatcher: portal.agent });
    const { keys } = (await jwks.body.json()) as { keys: object[] };
    const input = `${encoded({ ...header, alg: 'HS256' })}.${encoded(claims)}`;
    const mac = createHmac('sha256', JSON.stringify(keys[0])).update(input).digest('base64url');
    expect(await refused(asked(`${input}.${mac}`))).toBe('400 invalid_request');
    const { privateKey } = await generateKeyPair('ES256');
    const forged = await new SignJWT(claims as Record<string, unknown>)
      .setProtectedHeader(header as { alg: string })
      .sign(privateKey);
    expect(await refused(asked(forged))).toBe('400 invalid_request');
  });

  test('jku, x5u and jwk lead nowhere; no address in a token is asked', async () => {
    let hits = 0;
    const canary = createServer((_, response) => {
      hits += 1;
      response.end('{}');
    });
    await new Promise<void>((listening) => canary.listen(0, '127.0.0.1', listening));
    const at = `http://127.0.0.1:${(canary.address() as AddressInfo).port}/`;
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
    const [header, claims] = parts(await alice());
    const jwk = await exportJWK(publicKey);
    for (const member of [
      { jku: at },
      { x5u: at },
      { jwk },
      { crit: ['exp'] },
      { kid: `${at}key` },
      { kid: '../../x' },
    ]) {
      const input = `${encoded({ ...header, ...member })}.${encoded(claims)}`;
      const key = await new SignJWT(claims as Record<string, unknown>)
        .setProtectedHeader(header as { alg: string })
        .sign(privateKey);
      expect(await refused(asked(`${input}.${key.split('.')[2]}`))).toBe('400 invalid_request');
    }
    expect(hits).toBe(0);
    await new Promise((closed) => canary.close(closed));
  });

  test('another issuer, audience, type or time; an ID token, a refresh token; a token of one kind posing as another', async () => {
    const posing = [
      alice({ claims: { iss: 'https://127.0.0.1:1/realms/postern' } }),
      alice({ claims: { iss: world.grants.entry.issuer } }),
      alice({ claims: { iss: world.issuer } }),
      alice({ audience: 'portal' }),
      alice({ lifetimeSeconds: -10 }),
      alice({ claims: { nbf: Math.floor(Date.now() / 1000) + 600 } }),
      alice({ typ: 'JWT', claims: { typ: 'ID', aud: 'portal' } }),
      alice({ typ: 'JWT', claims: { typ: 'Bearer' } }),
      alice({ typ: 'JWT', claims: { typ: 'Refresh' } }),
      alice({ typ: 'grant+jwt', claims: { grant_id: 'g', tenant: 'acme', subject_issuer: world.realm.entry.issuer } }),
      alice({ typ: 'logout+jwt' }),
      alice({ typ: 'txntoken+jwt' }),
      grant({ typ: 'at+jwt' }),
    ];
    for (const token of posing) expect(await refused(asked(await token))).toBe('400 invalid_request');
  });

  test('the spelling of a token is the only one: white space or other base64 is refused', async () => {
    const token = await alice();
    for (const spelling of [` ${token}`, `${token} `, `${token.slice(0, 60)}\n${token.slice(60)}`, `${token}=`]) {
      expect(await refused(asked(spelling))).toBe('400 invalid_request');
    }
  });

  test('a token of another type is refused by its name: id_token, refresh_token, saml2', async () => {
    for (const type of ['id_token', 'refresh_token', 'saml2']) {
      const form = {
        grant_type: TOKEN_EXCHANGE,
        subject_token: await alice(),
        subject_token_type: `urn:ietf:params:oauth:token-type:${type}`,
        audience: 'auth-manager',
        scope: 'grants:read',
      };
      expect(await refused(portal.post(form))).toBe('400 invalid_request');
    }
  });
});

describe('R8: who brings it', () => {
  test('neither the holder nor named in aud: refused, also where the policy would allow the workload', async () => {
    expect(await refused(job.exchange(await alice(), 'auth-manager', 'grants:use'))).toBe('400 invalid_request');
    const shared = await alice({ claims: { aud: ['token-exchange', 'account'] } });
    expect(await refused(job.exchange(shared, 'auth-manager', 'grants:use'))).toBe('400 invalid_request');
    expect(await refused(keyProxy.exchange(await grant(), 'crypto-store', 'records:read'))).toBe('400 invalid_request');
  });

  test('unbound: refused above low', async () => {
    const bearer = await world.realm.mint({ audience: 'token-exchange', clientId: 'portal', roles: ['user'] });
    expect(await refused(asked(bearer))).toBe('400 invalid_request');
  });

  test('named in aud, but by a client that the policy does not pair with it', async () => {
    const t = await world.accounts.mint({
      audience: 'key-proxy',
      tenant: 'kp_1',
      clientId: 'someone-else',
      scopes: ['secrets:write'],
      boundTo: job.thumbprint,
    });
    expect(await refused(keyProxy.exchange(t, 'crypto-store', 'records:write'))).toBe('400 invalid_target');
  });

  test('a workload without a line in the policy', async () => {
    expect((await stranger.exchange(await alice(), 'auth-manager', 'grants:read')).status).toBe(403);
  });
});

describe('beyond the ceiling', () => {
  test('audience outside the policy, alone and beside one of the policy, and one of which nothing is asked', async () => {
    const token = await alice();
    expect(await refused(portal.exchange(token, 'nowhere', 'records:read'))).toBe('400 invalid_target');
    expect(await refused(job.exchange(await grant(), 'audit-sink', 'audit:read'))).toBe('400 invalid_target');
    expect(await refused(portal.exchange(token, 'auth-manager crypto-store', 'grants:read'))).toBe(
      '400 invalid_target',
    );
    const twice = new URLSearchParams({
      grant_type: TOKEN_EXCHANGE,
      subject_token: token,
      subject_token_type: ACCESS_TOKEN,
      audience: 'auth-manager',
      scope: 'grants:read',
    });
    twice.append('audience', 'crypto-store');
    expect(await refused(portal.post(twice.toString()))).toBe('400 invalid_scope');
    twice.delete('audience', 'crypto-store');
    twice.append('audience', 'nowhere');
    expect(await refused(portal.post(twice.toString()))).toBe('400 invalid_target');
  });

  test('a realm’s own scope claim opens nothing; a grant’s is its ceiling, its audiences are too', async () => {
    const boasting = await alice({ scopes: ['audit:read', 'grants:use'] });
    expect(await refused(portal.exchange(boasting, 'audit-sink', 'audit:read'))).toBe('403 insufficient_scope');
    expect(await refused(portal.exchange(boasting, 'auth-manager', 'grants:use'))).toBe('400 invalid_scope');
    expect(await refused(job.exchange(await grant(), 'crypto-store', 'records:write'))).toBe('400 invalid_scope');
    const elsewhere = await grant({ claims: { audiences: ['key-proxy'] } });
    expect(await refused(job.exchange(elsewhere, 'crypto-store', 'records:read'))).toBe('400 invalid_target');
  });

  test('a minted token never widens, however often it is exchanged', async () => {
    const t = String((await job.exchange(await grant(), 'crypto-store', 'records:read')).body['access_token']);
    expect(await refused(job.exchange(t, 'crypto-store', 'records:read records:write'))).toBe('400 invalid_scope');
    const again = await job.exchange(t, 'crypto-store', 'records:read');
    expect(again.status).toBe(200);
    expect(await refused(job.exchange(String(again.body['access_token']), 'key-proxy', 'secrets:read'))).toBe(
      '400 invalid_scope',
    );
    const forKeyProxy = await world.accounts.mint({
      audience: 'key-proxy',
      tenant: 'kp_1',
      clientId: 'key-proxy',
      scopes: ['secrets:read'],
      boundTo: job.thumbprint,
    });
    expect(await refused(keyProxy.exchange(forKeyProxy, 'crypto-store', 'records:write'))).toBe('400 invalid_scope');
  });

  test('a role of another client of the realm, or a tenant that a realm’s token claims, counts for nothing (R1, R3)', async () => {
    const elsewhere = { resource_access: { 'token-exchange': { roles: ['user'] }, portal: { roles: ['auditor'] } } };
    const token = await alice({ claims: { ...elsewhere, realm_access: { roles: ['auditor'] }, roles: ['auditor'] } });
    expect(await refused(portal.exchange(token, 'audit-sink', 'audit:read'))).toBe('403 insufficient_scope');
    const reply = await asked(await alice({ claims: { tenant: 'other' } }));
    const [, claims] = parts(String(reply.body['access_token']));
    expect(claims).toMatchObject({ tenant: 'acme' });
  });
});

describe('actors', () => {
  test('an act in a realm’s token is no actor; a forged one in a grant does not verify', async () => {
    const reply = await asked(await alice({ claims: { act: { sub: 'admin', act: { sub: 'root' } } } }));
    expect(parts(String(reply.body['access_token']))[1]).toMatchObject({ act: { sub: 'portal' } });
    const [header, body, signature] = (await grant()).split('.') as [string, string, string];
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as object;
    const forged = `${header}.${encoded({ ...claims, act: { sub: 'key-proxy' } })}.${signature}`;
    expect(await refused(job.exchange(forged, 'crypto-store', 'records:read'))).toBe('400 invalid_request');
  });

  test('a chain that is too long, or no chain at all, is refused', async () => {
    const long = await grant({ actors: ['job', 'a', 'b', 'c', 'd'] });
    expect(await refused(job.exchange(long, 'crypto-store', 'records:read'))).toBe('400 invalid_request');
    for (const act of ['job', { sub: 7 }, { sub: 'job', act: 'x' }, { sub: 'job', exp: 1 }, []]) {
      const token = await grant({ claims: { act } });
      expect(await refused(job.exchange(token, 'crypto-store', 'records:read'))).toBe('400 invalid_request');
    }
  });

  test('may_act names who may: the caller passes, nobody else does', async () => {
    expect((await asked(await alice({ claims: { may_act: { sub: 'portal' } } }))).status).toBe(200);
    for (const allowed of [{ sub: 'job' }, {}, 'portal', null, { client_id: 'job', sub: 'portal' }]) {
      expect(await refused(asked(await alice({ claims: { may_act: allowed } })))).toBe('400 invalid_request');
    }
  });
});

test('every parameter is strict', async () => {
  const form = {
    grant_type: TOKEN_EXCHANGE,
    subject_token: await alice(),
    subject_token_type: ACCESS_TOKEN,
    audience: 'auth-manager',
    scope: 'grants:read',
  };
  const but = (over: Record<string, string>) => refused(portal.post({ ...form, ...over }));
  const without = (name: keyof typeof form) =>
    refused(portal.post(Object.fromEntries(Object.entries(form).filter(([key]) => key !== name))));
  expect((await portal.post({ ...form, client_id: 'portal' })).status).toBe(200);
  expect(await but({ grant_type: 'client_credentials' })).toBe('400 unsupported_grant_type');
  expect(await but({ client_id: 'job' })).toBe('403 unauthorized_client');
  expect(await but({ scope: '' })).toBe('400 invalid_request');
  expect(await but({ audience: '' })).toBe('400 invalid_request');
  for (const name of ['actor_token', 'subject_tokens', 'client_secret', 'client_assertion']) {
    expect(await but({ [name]: 'x' })).toBe('400 invalid_request');
  }
  expect(await but({ requested_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' })).toBe(
    '400 invalid_request',
  );
  for (const name of ['grant_type', 'subject_token', 'subject_token_type'] as const) {
    expect(await without(name)).toBe('400 invalid_request');
  }
  expect(await without('scope')).toBe('400 invalid_scope');
  for (const name of ['grant_type', 'subject_token', 'scope']) {
    expect(await refused(portal.post(`${new URLSearchParams(form).toString()}&${name}=x`))).toBe('400 invalid_request');
  }
});

test('nothing that was sent as a token stands in the log', () => {
  expect(world.logged.join('\n')).not.toMatch(/eyJ[A-Za-z0-9_-]{20}/);
});
