import { generateKeyPairSync } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { profileNames, profiles } from '@postern/profile';
import { describeWith, realPart } from '@postern/testing';
import { formOf } from '@postern/testing/identity-provider';
import { keycloakDistribution } from '@postern/testing/keycloak';
import {
  compactDecrypt,
  createRemoteJWKSet,
  customFetch,
  decodeJwt,
  decodeProtectedHeader,
  exportJWK,
  jwtVerify,
} from 'jose';
import { Agent, fetch as fetchOver } from 'undici';

import { applyPlan, planRealm } from '../src/index.ts';
import {
  answer,
  callback,
  compiled,
  documentOf,
  openLiveWorld,
  password,
  totp,
  until,
  type LiveWorld,
} from './live-world.ts';

const START_MS = 300_000;
const keycloak = await realPart('Keycloak 26', keycloakDistribution);

describeWith(keycloak, 'documents on a real Keycloak', () => {
  let world: LiveWorld;
  const apply = async (text: string) => {
    const wanted = compiled(text);
    await applyPlan(world.admin, await planRealm(world.admin, wanted));
    return wanted;
  };
  const steps = async (text: string) => {
    const { steps } = await planRealm(world.admin, compiled(text));
    return steps.map(({ action, kind, name, because }) => `${action} ${kind} ${name} (${because})`);
  };

  beforeAll(async () => {
    world = await openLiveWorld();
    for (const name of profileNames) await apply(documentOf(name, name));
  }, START_MS);
  afterAll(() => world?.close(), START_MS);

  describe.each(profileNames)('%s', (name) => {
    test('exports again without a difference, and a second apply makes no write', async () => {
      const before = world.admin.writes();
      const plan = await planRealm(world.admin, compiled(documentOf(name, name)));
      expect(plan.steps).toEqual([]);
      await applyPlan(world.admin, plan);
      expect(world.admin.writes()).toBe(before);
    });

    test('9.1: discovery names PAR, mTLS aliases, signed responses and PS256 or ES256 for assertions', async () => {
      const { status, body } = await world
        .party(name, 'web', false)
        .get(`${world.keycloak.issuer(name)}/.well-known/openid-configuration`);
      expect(status).toBe(200);
      expect(body).toMatchObject({
        issuer: world.keycloak.issuer(name),
        pushed_authorization_request_endpoint: expect.stringContaining('/ext/par/request'),
        mtls_endpoint_aliases: { token_endpoint: expect.any(String) },
        tls_client_certificate_bound_access_tokens: true,
        code_challenge_methods_supported: expect.arrayContaining(['S256']),
        response_modes_supported: expect.arrayContaining(['jwt', 'query.jwt']),
        token_endpoint_auth_signing_alg_values_supported: expect.arrayContaining(['PS256', 'ES256']),
        authorization_response_iss_parameter_supported: true,
      });
    });

    test('AC-7: the account is locked at the count of the profile, for its time, also for the right password', async () => {
      const { lockoutAttempts, lockoutMinutes } = profiles[name];
      const id = await world.person(name, 'locked');
      const party = world.party(name, 'portal');
      const attempt = async (given: string) => {
        const browser = world.browser();
        const page = await browser.open((await party.authorization({ par: profiles[name].fapi })).url, callback);
        return (await answer(browser, page, { username: 'locked', password: given })).text;
      };
      for (let failures = 0; failures < lockoutAttempts; failures += 1) await attempt('wrong');
      const state = `/${name}/attack-detection/brute-force/users/${id}`;
      const held = await world.admin.get<{
        disabled: boolean;
        numFailures: number;
        failedLoginNotBefore?: number;
        lastFailure: number;
      }>(state);
      expect(held).toMatchObject({ disabled: true, numFailures: lockoutAttempts });
      if (held.failedLoginNotBefore) {
        const seconds = held.failedLoginNotBefore - Math.floor(held.lastFailure / 1000);
        expect(Math.abs(seconds - lockoutMinutes * 60)).toBeLessThan(60);
      }
      expect(await attempt(password)).toContain('Invalid username or password');
    });

    test('IA-5(1): a short, a plain and a used password are refused by the server', async () => {
      const id = await world.person(name, 'careless');
      const change = (value: string) =>
        world.admin
          .put(`/${name}/users/${id}/reset-password`, { type: 'password', value, temporary: false })
          .then(() => 'taken')
          .catch((error: Error) => error.message);
      const { passwordMinLength } = profiles[name];
      expect(await change(`Aa1!${'x'.repeat(passwordMinLength - 5)}`)).toContain(
        `400 Invalid password: minimum length ${passwordMinLength}`,
      );
      expect(await change('x'.repeat(40))).toMatch(/400 Invalid password: must contain at least 1/);
      expect(await change(password)).toContain('400 Invalid password: must not be equal to any of last 24 passwords');
      expect(await change(`${password}-other`)).toBe('taken');
    });
  });

  test('FAPI 2.0: no pushed request, no S256, no certificate: no login', async () => {
    const party = world.party('fedramp-moderate', 'portal');
    const browser = world.browser();
    const unpushed = await browser.open((await party.authorization({ par: false })).url, callback);
    expect(unpushed.location ?? unpushed.text).toMatch(/request_uri|invalid_request/);
    await expect(party.authorization({ extra: { code_challenge_method: 'plain' } })).rejects.toThrow(/PAR: 400/);
    await expect(party.authorization({ extra: { code_challenge: '', code_challenge_method: '' } })).rejects.toThrow(
      /PAR: 400/,
    );
    await expect(world.party('fedramp-moderate', 'portal', false).authorization()).rejects.toThrow(/PAR: 401/);
  });

  test('JARM: an asked for response is a JWT that the realm has signed, with its issuer and the client as audience', async () => {
    await world.person('fedramp-moderate', 'signed');
    const party = world.party('fedramp-moderate', 'portal');
    const browser = world.browser();
    const { url } = await party.authorization({ extra: { response_mode: 'jwt' } });
    const back = await answer(browser, await browser.open(url, callback), { username: 'signed', password });
    const response = new URL(back.location ?? '').searchParams.get('response') ?? '';
    const agent = new Agent({ connect: { ca: world.ca } });
    try {
      const issuer = world.keycloak.issuer('fedramp-moderate');
      const keys = createRemoteJWKSet(new URL(`${issuer}/protocol/openid-connect/certs`), {
        [customFetch]: (at: string, init: object) => fetchOver(at, { ...init, dispatcher: agent }),
      } as never);
      const { payload } = await jwtVerify(response, keys, { issuer, audience: 'portal', algorithms: ['ES256'] });
      expect(payload).toMatchObject({ state: 'the-state', code: expect.any(String) });
    } finally {
      await agent.close();
    }
  });

  test('1.3: an ID token is encrypted to the key in the client’s JWKS, and signed inside', async () => {
    const newEcKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const newRsaKey = () => generateKeyPairSync('rsa', { modulusLength: 2048 });
    const [signing, opening] = [newEcKey(), newRsaKey()];
    const keys = [
      { ...(await exportJWK(signing.publicKey)), kid: 'signing', use: 'sig', alg: 'ES256' },
      { ...(await exportJWK(opening.publicKey)), kid: 'opening', use: 'enc', alg: 'RSA-OAEP-256' },
    ];
    const text = documentOf(
      'fedramp-low',
      'sealed',
      `[keycloak.client.reader]\nauthentication = "private-key-jwt"\njwks_file = "reader.json"\nencrypted_id_tokens = true\nredirect_uris = ["${callback}"]\n`,
    );
    const wanted = compiled(text, { 'reader.json': JSON.stringify({ keys }) });
    await applyPlan(world.admin, await planRealm(world.admin, wanted));
    await world.person('sealed', 'reader');
    const party = world.party('sealed', 'reader', false, { kid: 'signing', private: signing.privateKey });
    const dpop = newEcKey().privateKey;
    const browser = world.browser();
    const { url, verifier } = await party.authorization({ dpop });
    const back = await answer(browser, await browser.open(url, callback), { username: 'reader', password });
    const { body } = await party.redeem(new URL(back.location ?? ''), verifier, { dpop });
    const sealed = String(body['id_token']);
    expect(decodeProtectedHeader(sealed)).toMatchObject({ alg: 'RSA-OAEP-256', enc: 'A256GCM', kid: 'opening' });
    const { plaintext } = await compactDecrypt(sealed, opening.privateKey);
    const inside = new TextDecoder().decode(plaintext);
    expect(decodeProtectedHeader(inside)).toMatchObject({ alg: 'ES256' });
    expect(decodeJwt(inside)).toMatchObject({ iss: world.keycloak.issuer('sealed'), aud: 'reader' });
    await expect(compactDecrypt(sealed, newRsaKey().privateKey)).rejects.toThrow();
  });

  test('IA-8: a person of another provider comes by a signed assertion, and under its own name there', async () => {
    const home = `[app]\nname = "home"\nprofile = "fedramp-low"\n[keycloak]\nhostname = "auth.live.example"\n[keycloak.observability]\nenable = false\n[keycloak.realm.home]\n[keycloak.client.hub]\nauthentication = "secret"\nredirect_uris = ["${world.keycloak.issuer('hub')}/broker/home/endpoint"]\n[keycloak.client.hub.secrets]\nclient_secret = "env:HUB"\n`;
    const secretOf = async () => 'the-hub-and-the-home-know-this';
    await applyPlan(world.admin, await planRealm(world.admin, compiled(home)), { secretOf });
    const hub = documentOf(
      'fedramp-low',
      'hub',
      `[keycloak.realm.hub.federation.oidc.home]\nissuer = "${world.keycloak.issuer('home')}"\nclient_id = "hub"\nclient_secret = "env:HUB"\n`,
    );
    await apply(hub);
    expect(await steps(hub)).toEqual([]);
    // A server reads the secret from its own vault; this one has none.
    const provider = '/hub/identity-provider/instances/home';
    const held = await world.admin.get<{ config: Record<string, string> }>(provider);
    await world.admin.put(provider, { ...held, config: { ...held.config, clientSecret: await secretOf() } });
    const id = await world.person('home', 'visitor');

    const party = world.party('hub', 'portal');
    const browser = world.browser();
    const { url, verifier } = await party.authorization({ par: false, extra: { kc_idp_hint: 'home' } });
    const there = await browser.open(url, callback);
    expect(there.url).toContain('/realms/home/');
    const back = await answer(browser, there, { username: 'visitor', password });
    const { status } = await party.redeem(new URL(back.location ?? back.url), verifier);
    expect(status).toBe(200);
    const [known] = await world.admin.get<{ id: string }[]>('/hub/users?username=visitor');
    expect(await world.admin.get(`/hub/users/${known?.id}/federated-identity`)).toEqual([
      { identityProvider: 'home', userId: id, userName: 'visitor' },
    ]);

    // What another key has signed is not believed: with a key set that is not the provider's nobody comes in.
    await world.admin.put(provider, {
      ...held,
      config: {
        ...held.config,
        clientSecret: await secretOf(),
        jwksUrl: `${world.keycloak.issuer('fedramp-low')}/protocol/openid-connect/certs`,
      },
    });
    const second = world.browser();
    const again = await second.open(
      (await party.authorization({ par: false, extra: { kc_idp_hint: 'home' } })).url,
      callback,
    );
    const refused = await answer(second, again, { username: 'visitor', password });
    expect(refused.location ?? '').not.toContain('code=');
  });

  test('IA-2(2): in high a password alone gives no code; a second factor is enrolled in the login, and asked for ever after', async () => {
    await world.person('fedramp-high', 'careful');
    const party = world.party('fedramp-high', 'portal');
    const browser = world.browser();
    const { url, verifier } = await party.authorization();
    const enrol = await answer(browser, await browser.open(url, callback), { username: 'careful', password });
    expect(enrol.location).toBeUndefined();
    const secret = formOf(enrol.text)?.fields['totpSecret'] ?? '';
    expect(secret).not.toBe('');
    const wrong = await answer(browser, enrol, { totp: '000000', userLabel: 'test' });
    expect(wrong.location).toBeUndefined();
    const enrolled = await answer(browser, wrong, { totp: totp(secret, Date.now()), userLabel: 'test' });
    const { status, body } = await party.redeem(new URL(enrolled.location ?? ''), verifier);
    expect({ status, expires: body['expires_in'], idle: body['refresh_expires_in'] }).toEqual({
      status: 200,
      expires: 300,
      idle: 600,
    });

    const second = world.browser();
    const asked = await answer(second, await second.open((await party.authorization()).url, callback), {
      username: 'careful',
      password,
    });
    expect(asked.location).toBeUndefined();
    expect(formOf(asked.text)?.names.has('otp')).toBe(true);
    // The next step's code: the one of the enrolment is not taken twice.
    const through = await answer(second, asked, { otp: totp(secret, Date.now() + 30_000) });
    expect(through.location).toContain('code=');
  });

  test('IA-2(1): elsewhere an administrator must have one, and nobody else is asked', async () => {
    const id = await world.person('fedramp-moderate', 'chief');
    const [management] = await world.admin.get<{ id: string }[]>('/fedramp-moderate/clients?clientId=realm-management');
    const role = await world.admin.get(`/fedramp-moderate/clients/${management?.id}/roles/realm-admin`);
    const party = world.party('fedramp-moderate', 'portal');
    const login = async () => {
      const browser = world.browser();
      return answer(browser, await browser.open((await party.authorization()).url, callback), {
        username: 'chief',
        password,
      });
    };
    expect((await login()).location).toContain('code=');
    await world.admin.post(`/fedramp-moderate/users/${id}/role-mappings/clients/${management?.id}`, [role]);
    const page = await login();
    expect(page.location).toBeUndefined();
    expect(formOf(page.text)?.fields['totpSecret']).toBeDefined();
  });

  test('AC-11, AC-12: a session ends when it is idle, and when it is old, by the settings that a profile fixes', async () => {
    await apply(documentOf('fedramp-moderate', 'short'));
    await world.person('short', 'tired');
    const party = world.party('short', 'portal');
    const session = async () => {
      const browser = world.browser();
      const { url, verifier } = await party.authorization();
      const back = await answer(browser, await browser.open(url, callback), { username: 'tired', password });
      return (await party.redeem(new URL(back.location ?? ''), verifier)).body['refresh_token'];
    };
    for (const short of [{ ssoSessionIdleTimeout: 2 }, { ssoSessionIdleTimeout: 900, ssoSessionMaxLifespan: 2 }]) {
      await world.admin.put('/short', short);
      const token = await session();
      await until(async () => (await party.refresh(token)).status === 400);
    }
  });

  test('AU-2: logins, failures and changes by administrators are recorded', async () => {
    const types = async () =>
      (await world.admin.get<{ type: string; error?: string }[]>('/fedramp-moderate/events?max=200')).map(
        ({ type, error }) => `${type} ${error ?? ''}`,
      );
    await until(async () => (await types()).some((one) => one.startsWith('LOGIN_ERROR user_temporarily_disabled')));
    expect(await types()).toEqual(
      expect.arrayContaining(['LOGIN ', 'LOGIN_ERROR invalid_user_credentials', 'USER_DISABLED_BY_TEMPORARY_LOCKOUT ']),
    );
    const admin = await world.admin.get<{ resourceType: string; operationType: string }[]>(
      '/fedramp-moderate/admin-events?max=50',
    );
    expect(admin).toContainEqual(expect.objectContaining({ resourceType: 'USER', operationType: 'CREATE' }));
  });

  describe('apply, three ways', () => {
    const first = documentOf('fedramp-moderate', 'planned');
    const more = `
[keycloak.client.batch]
kind = "worker"
audiences = ["portal"]

[keycloak.client.keeper]
authentication = "private-key-jwt"
jwks_uri = "https://keeper.live.example/jwks"
redirect_uris = ["${callback}"]
offline_access = true
signed_responses = true

[keycloak.realm.planned.overrides]
require_mfa = true
session_idle_timeout = 5
`;

    test('a changed document becomes the realm, flows and policies included', async () => {
      await apply(first);
      expect(await steps(first + more)).toEqual([
        'update realm planned (document)',
        'create client-scope audience-portal (document)',
        'create client batch (document)',
        'create client keeper (document)',
        'create flow postern enrolment (document)',
        'update flow postern password (document)',
        'create client-profile postern-fapi-2-dpop-signed (document)',
        'create client-policy postern-fapi-2-dpop-signed (document)',
        'delete flow postern enrolment of realm-management.realm-admin (document)',
      ]);
      await apply(first + more);
      expect(await steps(first + more)).toEqual([]);
    });

    test('what somebody changed by hand is drift, and is put back; what was never ours is left alone', async () => {
      const [batch] = await world.admin.get<{ id: string }[]>('/planned/clients?clientId=batch');
      await world.admin.put(`/planned/clients/${batch?.id}`, {
        clientId: 'batch',
        attributes: { 'x509.subjectdn': 'CN=somebody-else' },
      });
      await world.admin.put('/planned', { bruteForceProtected: false });
      await world.admin.post('/planned/clients', { clientId: 'foreign', enabled: true });
      const policies = await world.admin.get<{ policies: unknown[] }>('/planned/client-policies/policies');
      const foreign = { name: 'foreign', enabled: true, conditions: [], profiles: [] };
      await world.admin.put('/planned/client-policies/policies', { policies: [...policies.policies, foreign] });

      expect(await steps(first + more)).toEqual(['update realm planned (drift)', 'update client batch (drift)']);
      await apply(first + more);
      expect(await steps(first + more)).toEqual([]);
      expect(await world.admin.get('/planned/clients?clientId=foreign')).toHaveLength(1);
      expect(await world.admin.get('/planned/client-policies/policies')).toMatchObject({
        policies: expect.arrayContaining([expect.objectContaining({ name: 'foreign' })]),
      });
    });

    test('what leaves the document leaves the realm', async () => {
      await apply(first);
      expect(await steps(first)).toEqual([]);
      expect(await world.admin.get('/planned/clients?clientId=batch')).toEqual([]);
      expect(await world.admin.get('/planned/clients?clientId=foreign')).toHaveLength(1);
    });
  });

  test("our FAPI profiles hold every executor of the server's own, but those that ADR 9 names", async () => {
    type Profiles = {
      globalProfiles: { name: string; executors: { executor: string }[] }[];
      profiles: { name: string; executors: { executor: string }[] }[];
    };
    const { globalProfiles, profiles: ours } = await world.admin.get<Profiles>(
      '/fedramp-high/client-policies/profiles?include-global-profiles=true',
    );
    const executorsOf = (list: Profiles['profiles'], name: string) =>
      list.find((one) => one.name === name)?.executors.map(({ executor }) => executor) ?? [];
    const missing = executorsOf(globalProfiles, 'fapi-2-security-profile').filter(
      (executor) => !executorsOf(ours, 'postern-fapi-2-certificate').includes(executor),
    );
    expect(missing.sort()).toEqual(['consent-required', 'secure-signature-algorithm']);
  });
});
