import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import { beforeAll, expect, test } from '@jest/globals';
import { calculateJwkThumbprint, decodeJwt, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { personIn } from './keycloak-realm.ts';
import type { KeycloakSite } from './keycloak-site.ts';

/** Whatever of ours is replaced, a grant lives on (R9); and what its provider gives for it (R10). */
export function keyCases(site: () => KeycloakSite): void {
  beforeAll(() => site().serve('moderate'), 60_000);

  test('R9: our client key is rotated under a live grant: Keycloak reads the new one from our address, no refresh fails', async () => {
    const at = site();
    // Keycloak looks for a key that it does not know once in ten seconds at most: a rotation leads by more.
    const leadSeconds = 11;
    const grant = await at.consented();
    const before = await at.world.db.selectFrom('provider_keys').select('number').where('use', '=', 'client').execute();
    const rotated = await at.portal.send(`${at.replica().api}/v1/providers/own/keys`, {
      method: 'POST',
      token: await at.tokenOf('ada', { roles: ['admin'] }),
      body: { active_after_seconds: leadSeconds },
    });
    expect([rotated.status, rotated.body['number']]).toEqual([201, before.length + 1]);
    expect(await at.refreshed(grant)).toBe(200);
    await sleep(leadSeconds * 1000);
    expect([await at.refreshed(grant), await at.refreshed(grant)]).toEqual([200, 200]);
    expect(await at.attempts(grant)).toEqual(['applied', 'applied', 'applied']);
  }, 180_000);

  test('R9: our DPoP key is rotated under a live grant: Keycloak binds no refresh token of ours to it (RFC 9449, 5)', async () => {
    const at = site();
    const grant = await at.consented();
    expect(await at.refreshed(grant)).toBe(200);
    const rotated = await at.portal.send(`${at.replica().api}/v1/providers/own/keys`, {
      method: 'POST',
      token: await at.tokenOf('ada', { roles: ['admin'] }),
      body: { use: 'dpop', active_after_seconds: 0 },
    });
    expect([rotated.status, rotated.body['number']]).toEqual([201, 2]);
    expect([await at.refreshed(grant), await at.refreshed(grant)]).toEqual([200, 200]);
    expect(await at.attempts(grant)).toEqual(['applied', 'applied', 'applied']);
  });

  test('R9: our own certificate is rotated under a live grant, in the running service: the grant refreshes as before', async () => {
    const at = site();
    const grant = await at.consented();
    expect(await at.refreshed(grant)).toBe(200);
    const served = await certificateOf(at.replica().api, at.world.ca);
    await at.world.authority.issue('auth-manager', { into: dirname(at.world.env.POSTERN_TLS_CERT_PATH) });
    for (let looks = 0; looks < 600 && (await certificateOf(at.replica().api, at.world.ca)) === served; looks++)
      await sleep(100);
    expect(await certificateOf(at.replica().api, at.world.ca)).not.toBe(served);
    expect([await at.refreshed(grant), await at.refreshed(grant)]).toEqual([200, 200]);
  });

  test("R10: Keycloak's own token for the job's key and one audience, by one proof or two; the grant keeps its other scopes", async () => {
    const at = site();
    const grant = await at.consented();
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
    const jwk = await exportJWK(publicKey);
    const proof = () =>
      new SignJWT({
        htm: 'POST',
        htu: `${at.issuer()}/protocol/openid-connect/token`,
        jti: crypto.randomUUID(),
      })
        .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk })
        .setIssuedAt()
        .sign(privateKey);
    const ask = async (audience: string, scope: string, over: object = {}) =>
      at.exchange.send(`${at.replica().api}/v1/grants/provider-exchange`, {
        method: 'POST',
        body: {
          grant_token: (await at.use(grant)).body['access_token'],
          exchange_id: crypto.randomUUID(),
          audience: [audience],
          scope: [scope],
          ...over,
        },
      });
    for (const [audience, scope] of [
      ['portal', 'files:read'],
      ['job', 'mail:read'],
    ] as const) {
      for (const second of [{}, { exchange_dpop: await proof() }]) {
        const { status, body } = await ask(audience, scope, { dpop: await proof(), ...second });
        expect([status, body['token_type']]).toEqual([200, 'DPoP']);
        const claims = decodeJwt(String(body['access_token']));
        expect(claims).toMatchObject({
          aud: audience,
          azp: 'auth-manager',
          sub: personIn('moderate', 'alice'),
          cnf: { jkt: await calculateJwkThumbprint(jwk) },
        });
        // Nothing that token-exchange would find wider than what was asked.
        expect(
          String(claims['scope'])
            .split(' ')
            .filter((one) => one !== 'openid'),
        ).toEqual([scope]);
      }
    }
    const used = await proof();
    expect((await ask('portal', 'files:read', { dpop: used })).status).toBe(200);
    expect((await ask('portal', 'files:read', { dpop: used })).body['code']).toBe('proof_refused');
    expect((await ask('portal', 'files:read')).body['code']).toBe('proof_required');
    expect((await ask('portal', 'records:read', { dpop: await proof() })).body['code']).toBe('exceeds_grant');
    expect(await at.refreshed(grant)).toBe(200);
  });
}

/** Of the certificate that a listener shows. */
async function certificateOf(url: string, ca: string): Promise<string> {
  const { hostname: host, port } = new URL(url);
  const socket = connect({ host, port: Number(port), ca, servername: 'localhost' });
  try {
    await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
    return socket.getPeerCertificate().fingerprint256;
  } finally {
    socket.destroy();
  }
}
