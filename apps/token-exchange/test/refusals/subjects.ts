import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { request } from 'undici';
import { TOKEN_EXCHANGE } from '../token-exchange.ts';
import { alice, asked, encoded, grant, parts, portal, refused, world } from './scene.ts';

/** R7: a subject that is no such token. */
export function falseSubjects(): void {
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
        alice({
          typ: 'grant+jwt',
          claims: { grant_id: 'g', tenant: 'acme', subject_issuer: world.realm.entry.issuer },
        }),
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
}
