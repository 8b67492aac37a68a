import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Realm } from '@postern/testing';
import { decodeJwt } from 'jose';
import { openAuthManager, type AuthManager } from './auth-manager.ts';
import { clientKey, filesAt } from './files-at-the-provider.ts';
import { openWorld, type Caller, type World } from './token-exchange.ts';

describe('R10: a grant, exchanged for an audience outside Postern, by both services', () => {
  let authManager: AuthManager;
  let world: World;
  let job: Caller;
  let portal: Caller;
  let grant: string;
  let key: Awaited<ReturnType<typeof clientKey>>;

  beforeAll(async () => {
    authManager = await openAuthManager();
    world = await openWorld({
      realmEntry: authManager.realmEntry,
      grantsEntry: authManager.grantsEntry,
      document: filesAt('portal', ['files:read']),
      env: {
        POSTERN_PROVIDER_ISSUER: authManager.realmEntry.issuer,
        POSTERN_AUTH_MANAGER_URL: authManager.api,
      },
    });
    [job, portal] = await Promise.all([world.caller('job'), world.caller('portal')]);
    grant = await authManager.grant(portal);
    key = await clientKey(authManager.tokenEndpoint);
  });
  afterAll(async () => {
    await world?.close();
    await authManager?.close();
  });

  const grantToken = () => authManager.grantToken(job, grant);
  const exchange = async (proofs: string[], { audience = 'portal', scope = 'files:read', token = '' } = {}) => {
    const form = new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: token || (await grantToken()),
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      audience,
      scope,
    });
    for (const proof of proofs) form.append('provider_proof', proof);
    return job.post(form.toString());
  };
  const mints = async (token?: string) =>
    (await exchange([], { audience: 'crypto-store', scope: 'records:read', ...(token && { token }) })).status;
  const recorded = async (id: string) =>
    (await world.query('select 1 from exchanges where token_id = $1', [id])).length;
  /** What was recorded of exchanges since that many events. */
  const events = async (since = 0) => {
    const rows = await world.query<{ canonical: Buffer }>('select canonical from audit_outbox order by id');
    return rows
      .map(({ canonical }) => JSON.parse(canonical.toString('utf8')) as Record<string, unknown>)
      .filter(({ action }) => action === 'token.exchanged')
      .slice(since)
      .map(({ outcome, reason }) => [outcome, ...(reason === undefined ? [] : [reason])].join(' '));
  };
  const exchanges = async () => (await world.query('select 1 from exchanges')).length;

  test('the job gets a token of the realm, bound to its own key, for one audience, with one proof or with two', async () => {
    for (const proofs of [[await key.proof()], [await key.proof(), await key.proof()]]) {
      const { status, body } = await exchange(proofs);
      expect({ status, body }).toMatchObject({ status: 200, body: { token_type: 'DPoP', scope: 'files:read' } });
      const claims = decodeJwt(String(body['access_token']));
      expect(claims).toMatchObject({
        iss: authManager.realmEntry.issuer,
        sub: authManager.alice,
        aud: 'portal',
        azp: 'auth-manager',
        cnf: { jkt: key.thumbprint },
      });
      expect(await recorded(String(claims.jti))).toBe(1);
    }
  });

  test('without a proof, with what is none, with those of two keys, or with one that was used there is nothing', async () => {
    const other = await clientKey(authManager.tokenEndpoint);
    const used = await key.proof();
    expect((await exchange([used])).status).toBe(200);
    for (const proofs of [[], ['a.b.c'], [await key.proof(), await other.proof()], [used]]) {
      const { status, body } = await exchange(proofs);
      expect([status, body['error']]).toEqual([400, 'invalid_dpop_proof']);
    }
  });

  test('a scope that the realm adds is wider than what was asked: the token is refused, and recorded nowhere', async () => {
    await authManager.restartProvider(adding('files:write'));
    const [before, said] = [await exchanges(), (await events()).length];
    const { status, body } = await exchange([await key.proof()]);
    // R23: the refusal is the outcome of what was intended, under its own name.
    expect(await events(said)).toEqual(['intent', 'refused provider_wider']);
    expect([status, body['error'], body['access_token']]).toEqual([400, 'invalid_scope', undefined]);
    expect(await exchanges()).toBe(before);
    await authManager.restartProvider();
    expect((await exchange([await key.proof()])).status).toBe(200);
  });

  test('an audience that the realm adds is refused by auth-manager, and that is told as the refusal it is', async () => {
    await authManager.restartProvider(adding('token-exchange'));
    const { status, body } = await exchange([await key.proof()]);
    expect([status, body['error'], body['access_token']]).toEqual([403, 'access_denied', undefined]);
    await authManager.restartProvider();
  });

  test('while the provider is down this says so and when to come back, and minting goes on', async () => {
    const token = await grantToken();
    await authManager.stopProvider();
    const { status, headers, body } = await exchange([await key.proof()], { token });
    expect([status, body['error']]).toEqual([503, 'temporarily_unavailable']);
    expect(Number(headers['retry-after'])).toBeGreaterThan(0);
    expect(await mints(token)).toBe(200);
    // A grant that was just confirmed needs no provider either (R11).
    expect(await mints()).toBe(200);
    await authManager.restartProvider();
    expect((await exchange([await key.proof()])).status).toBe(200);
  });

  test('a grant that the realm has ended, or alice has revoked, is told apart from one that cannot be had now', async () => {
    const token = await grantToken();
    authManager.expireOfflineSessions();
    const ended = await exchange([await key.proof()], { token });
    expect([ended.status, ended.body['error_description']]).toEqual([
      400,
      'The grant has ended at the identity provider: the person must consent again',
    ]);
    grant = await authManager.grant(portal);
    const before = await grantToken();
    await authManager.revoke(portal, grant);
    const revoked = await exchange([await key.proof()], { token: before });
    expect([revoked.status, revoked.body['error_description']]).toEqual([400, 'The subject token is not accepted']);
    grant = await authManager.grant(portal);
    expect((await exchange([await key.proof()])).status).toBe(200);
  });

  test('while auth-manager is gone this says so, and minting goes on', async () => {
    const token = await grantToken();
    await authManager.kill();
    const { status, body } = await exchange([await key.proof()], { token });
    expect([status, body['error']]).toEqual([503, 'temporarily_unavailable']);
    expect(await mints(token)).toBe(200);
  });
});

/** The realm gives auth-manager's tokens a scope that nobody asked for. */
const adding =
  (scope: string) =>
  (realm: Realm): Realm => ({
    ...realm,
    clients: realm.clients.map((client) =>
      client.clientId === 'auth-manager' ? { ...client, defaultScopes: [...client.defaultScopes, scope] } : client,
    ),
  });
