import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from '@jest/globals';
import {
  compactDecrypt,
  createRemoteJWKSet,
  customFetch,
  decodeJwt,
  decodeProtectedHeader,
  exportJWK,
  jwtVerify,
} from 'jose';
import { applyPlan, planRealm } from '../../src/index.ts';
import { answer, callback, compiled, documentOf, password, type LiveWorld } from '../live-world.ts';
import { Agent, fetch as fetchOver } from 'undici';

export function fapiSuite(world: () => LiveWorld): void {
  test('FAPI 2.0: no pushed request, no S256, no certificate: no login', async () => {
    const party = world().party('fedramp-moderate', 'portal');
    const browser = world().browser();
    const unpushed = await browser.open((await party.authorization({ par: false })).url, callback);
    expect(unpushed.location ?? unpushed.text).toMatch(/request_uri|invalid_request/);
    await expect(party.authorization({ extra: { code_challenge_method: 'plain' } })).rejects.toThrow(/PAR: 400/);
    await expect(party.authorization({ extra: { code_challenge: '', code_challenge_method: '' } })).rejects.toThrow(
      /PAR: 400/,
    );
    await expect(world().party('fedramp-moderate', 'portal', false).authorization()).rejects.toThrow(/PAR: 401/);
  });

  test('JARM: an asked for response is a JWT that the realm has signed, with its issuer and the client as audience', async () => {
    await world().person('fedramp-moderate', 'signed');
    const party = world().party('fedramp-moderate', 'portal');
    const browser = world().browser();
    const { url } = await party.authorization({ extra: { response_mode: 'jwt' } });
    const back = await answer(browser, await browser.open(url, callback), { username: 'signed', password });
    const response = new URL(back.location ?? '').searchParams.get('response') ?? '';
    const agent = new Agent({ connect: { ca: world().ca } });
    try {
      const issuer = world().keycloak.issuer('fedramp-moderate');
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
    await applyPlan(world().admin, await planRealm(world().admin, wanted));
    await world().person('sealed', 'reader');
    const party = world().party('sealed', 'reader', false, { kid: 'signing', private: signing.privateKey });
    const dpop = newEcKey().privateKey;
    const browser = world().browser();
    const { url, verifier } = await party.authorization({ dpop });
    const back = await answer(browser, await browser.open(url, callback), { username: 'reader', password });
    const { body } = await party.redeem(new URL(back.location ?? ''), verifier, { dpop });
    const sealed = String(body['id_token']);
    expect(decodeProtectedHeader(sealed)).toMatchObject({ alg: 'RSA-OAEP-256', enc: 'A256GCM', kid: 'opening' });
    const { plaintext } = await compactDecrypt(sealed, opening.privateKey);
    const inside = new TextDecoder().decode(plaintext);
    expect(decodeProtectedHeader(inside)).toMatchObject({ alg: 'ES256' });
    expect(decodeJwt(inside)).toMatchObject({ iss: world().keycloak.issuer('sealed'), aud: 'reader' });
    await expect(compactDecrypt(sealed, newRsaKey().privateKey)).rejects.toThrow();
  });

  test("our FAPI profiles hold every executor of the server's own, but those that ADR 9 names", async () => {
    type Profiles = {
      globalProfiles: { name: string; executors: { executor: string }[] }[];
      profiles: { name: string; executors: { executor: string }[] }[];
    };
    const { globalProfiles, profiles: ours } = await world().admin.get<Profiles>(
      '/fedramp-high/client-policies/profiles?include-global-profiles=true',
    );
    const executorsOf = (list: Profiles['profiles'], name: string) =>
      list.find((one) => one.name === name)?.executors.map(({ executor }) => executor) ?? [];
    const missing = executorsOf(globalProfiles, 'fapi-2-security-profile').filter(
      (executor) => !executorsOf(ours, 'postern-fapi-2-certificate').includes(executor),
    );
    expect(missing.sort()).toEqual(['consent-required', 'secure-signature-algorithm']);
  });
}
