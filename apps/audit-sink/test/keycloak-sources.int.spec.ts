import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { AuditEvent } from '@postern/audit';
import { describeWith, realPart } from '@postern/testing';
import { keycloakDistribution, startKeycloak, type RunningKeycloak } from '@postern/testing/keycloak';
import { exportJWK, generateKeyPair } from 'jose';
import { Agent, request } from 'undici';
import { openWorld, until, type World } from './world.ts';

const keycloak = await realPart('Keycloak 26', keycloakDistribution);

const ALICE = '05cf9285-6c74-47da-939a-c61b1e6427c3';

/** A realm with one person, one client of theirs, and this service as a client that may look at events and at nothing else. */
const realmWith = (jwks: object) => ({
  realm: 'events',
  enabled: true,
  sslRequired: 'all',
  eventsEnabled: true,
  adminEventsEnabled: true,
  adminEventsDetailsEnabled: true,
  clients: [
    {
      clientId: 'audit-sink',
      enabled: true,
      publicClient: false,
      clientAuthenticatorType: 'client-jwt',
      serviceAccountsEnabled: true,
      standardFlowEnabled: false,
      attributes: {
        'use.jwks.string': 'true',
        'jwks.string': JSON.stringify(jwks),
        'token.endpoint.auth.signing.alg': 'ES256',
      },
    },
    { clientId: 'app', enabled: true, publicClient: true, directAccessGrantsEnabled: true },
  ],
  users: [
    {
      id: ALICE,
      username: 'alice',
      firstName: 'Alice',
      lastName: 'Example',
      email: 'alice@acme.example',
      emailVerified: true,
      enabled: true,
      credentials: [{ type: 'password', value: 'right', temporary: false }],
    },
    {
      username: 'service-account-audit-sink',
      enabled: true,
      serviceAccountClientId: 'audit-sink',
      clientRoles: { 'realm-management': ['view-events'] },
    },
  ],
});

describeWith(keycloak, 'events of a real Keycloak', () => {
  let world: World;
  let running: RunningKeycloak;
  let folder: string;
  let browser: Agent;
  let documents: Record<string, string>;
  let auditor: Awaited<ReturnType<World['caller']>>;
  let listener: Awaited<ReturnType<World['caller']>>;
  let sink: Awaited<ReturnType<World['sink']>>;

  beforeAll(async () => {
    world = await openWorld();
    folder = await mkdtemp(join(tmpdir(), 'keycloak-sources-'));
    const { cert, key, ca } = await world.server.authority.issue('identity-provider');
    const pair = await generateKeyPair('ES256', { extractable: true });
    const keyPath = join(folder, 'client.json');
    await writeFile(keyPath, JSON.stringify({ ...(await exportJWK(pair.privateKey)), kid: 'one' }), { mode: 0o600 });
    const jwks = { keys: [{ ...(await exportJWK(pair.publicKey)), kid: 'one', alg: 'ES256', use: 'sig' }] };
    running = await startKeycloak({ tls: { cert, key, ca }, realms: [realmWith(jwks)] });
    browser = new Agent({ connect: { ca } });
    const poll = { keyPath, everySeconds: 1 };
    const realm = { issuer: running.issuer('events'), tenant: 'acme', poll };
    documents = await world.documents({ sources: { keycloak: { realms: [realm], pushers: ['identity-provider'] } } });
    sink = await world.sink(documents);
    auditor = await world.caller();
    listener = await world.caller('identity-provider');
  }, 240_000);
  afterAll(async () => {
    await browser?.close();
    await world?.close();
    await running?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const logIn = (username: string, password: string) => token({ grant_type: 'password', username, password });
  async function token(form: Record<string, string>) {
    const answer = await request(`${running.issuer('events')}/protocol/openid-connect/token`, {
      dispatcher: browser,
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ client_id: 'app', ...form }).toString(),
    });
    return (await answer.body.json()) as Record<string, string>;
  }
  async function listed(action = 'identity.user_event'): Promise<AuditEvent[]> {
    const { body } = await auditor.get(`${sink.url}/v1/events?action=${action}&limit=200`);
    return body['events'] as AuditEvent[];
  }
  const ofType = async (type: string) => (await listed()).filter(({ details }) => details['type'] === type);
  const push = async (events: object[]) => {
    const answer = await request(`${sink.url}/v1/sources/keycloak/events`, {
      dispatcher: listener.dispatcher,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ events }),
    });
    return { status: answer.statusCode, body: (await answer.body.json()) as Record<string, unknown> };
  };

  test("logins and failures stand in the realm's tenant, with the person whom the provider knows", async () => {
    const tokens = await logIn('alice', 'right');
    await logIn('alice', 'wrong');
    await logIn('a-password-typed-into-the-wrong-field', 'x');
    await until(async () => (await ofType('LOGIN_ERROR')).length === 2, 'both failures are in the log');
    const [login] = await ofType('LOGIN');
    expect(login).toMatchObject({
      action: 'identity.user_event',
      outcome: 'success',
      tenant: 'acme',
      actor: { person: { issuer: running.issuer('events'), sub: ALICE }, client: 'app' },
      source: { address: '127.0.0.1' },
      details: { realm: 'events', username: 'alice', grantType: 'password' },
    });
    const failures = await ofType('LOGIN_ERROR');
    expect(failures.map(({ outcome }) => outcome)).toEqual(['failed', 'failed']);
    expect(failures.map(({ reason }) => reason).toSorted()).toEqual(['invalid_user_credentials', 'user_not_found']);
    expect(JSON.stringify(failures)).not.toContain('a-password-typed');
    expect(tokens['access_token']).toBeDefined();
  });

  test("an administrator's event names what was touched, and nothing that was written", async () => {
    await running.realm('events').logoutUser('alice');
    await until(async () => (await listed('identity.admin_event')).length > 0, 'the event is in the log');
    const [event] = await listed('identity.admin_event');
    expect(event).toMatchObject({
      outcome: 'success',
      resource: { type: 'user', id: `users/${ALICE}/logout` },
      details: { operation: 'ACTION', resourceType: 'USER' },
    });
  });

  test('what was polled and is pushed, or pushed twice, is in the log once (R25)', async () => {
    const [polled] = await ofType('LOGIN');
    const known = {
      id: polled!.details['eventId'],
      timestamp: polled!.time,
      event_type: 'LOGIN',
      realm: 'events',
      user_id: ALICE,
      success: true,
    };
    const fresh = { ...known, id: '11111111-2222-4333-8444-555555555555', event_type: 'UPDATE_TOTP' };
    expect((await push([known, fresh])).body).toEqual({ added: 1, known: 1 });
    expect((await push([known, fresh])).body).toEqual({ added: 0, known: 2 });
    const both = await Promise.all([push([fresh, known]), push([known, fresh])]);
    expect(both.map(({ body }) => body['added'])).toEqual([0, 0]);
    await until(async () => (await ofType('UPDATE_TOTP')).length > 0, 'the pushed event is in the log');
    expect(await ofType('LOGIN')).toHaveLength(1);
    expect(await ofType('UPDATE_TOTP')).toHaveLength(1);
  });

  test('what was pushed and is polled later is in the log once; a sink that was away reads what it missed', async () => {
    await sink.close();
    const before = await running.events('events');
    await logIn('alice', 'right');
    await logIn('alice', 'wrong');
    const missed = (await running.events('events')).filter(({ id }) => !before.some((one) => one.id === id));
    expect(missed.map(({ type }) => type).toSorted()).toEqual(['LOGIN', 'LOGIN_ERROR']);
    // The listener's push arrives first, at a replica that does not poll.
    const api = await world.sink({ ...documents, POSTERN_ROLE: 'api' });
    const login = missed.find(({ type }) => type === 'LOGIN')!;
    sink = { ...api };
    const pushed = {
      id: login.id,
      timestamp: new Date(login.time).toISOString(),
      event_type: 'LOGIN',
      realm: 'events',
    };
    expect((await push([{ ...pushed, success: true }])).body).toEqual({ added: 1, known: 0 });
    await api.close();
    sink = await world.sink(documents);
    await until(async () => (await ofType('LOGIN_ERROR')).length === 3, 'the missed failure is in the log');
    await until(async () => (await ofType('LOGIN')).length === 2, 'the pushed login is in the log');
    const ids = (await listed()).map(({ details }) => details['eventId']);
    expect(new Set(ids).size).toBe(ids.length);
  });
});
