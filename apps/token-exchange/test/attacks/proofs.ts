import { createHash, randomUUID } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';
import { Agent, request } from 'undici';
import type { Random } from '../random.ts';
import { ACCESS_TOKEN, TOKEN_EXCHANGE, type Reply, type World } from '../token-exchange.ts';

export type Key = { privateKey: CryptoKey; publicKey: CryptoKey; jwk: JWK; jkt: string };

export async function newKey(): Promise<Key> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = await exportJWK(publicKey);
  return { privateKey, publicKey, jwk, jkt: await calculateJwkThumbprint(jwk) };
}

type Said = { claims?: Record<string, unknown>; header?: Record<string, unknown>; by?: Key; kept?: string };
const seconds = () => Math.floor(Date.now() / 1000);

/** A client without a certificate, its key and the key of its proofs (RFC 9449): what it may do, and what nobody may. */
export async function openProofs(world: World, client: Key) {
  const agent = new Agent({ connect: { ca: await world.postgres.authority.certificate() } });
  const [holder, other] = await Promise.all([newKey(), newKey()]);

  function proof(url: string, method: string, { claims = {}, header = {}, by = holder }: Said): Promise<string> {
    const payload = { jti: randomUUID(), htm: method, htu: url, iat: seconds(), ...claims };
    return new SignJWT(payload)
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: by.jwk, ...header })
      .sign(by.privateKey);
  }
  const assertion = () =>
    new SignJWT({ jti: randomUUID() })
      .setProtectedHeader({ alg: 'ES256', kid: 'client' })
      .setIssuer('portal')
      .setSubject('portal')
      .setAudience(world.issuer)
      .setIssuedAt()
      .setExpirationTime('60s')
      .sign(client.privateKey);

  async function send(url: string, dpop: string | null, options: object): Promise<Reply> {
    const { headers = {}, ...more } = options as { headers?: Record<string, string> };
    const sent = { ...headers, ...(dpop !== null && { dpop }) };
    const answer = await request(url, { dispatcher: agent, ...more, headers: sent });
    const text = await answer.body.text();
    const body = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>;
    return { status: answer.statusCode, headers: answer.headers, text, body };
  }

  /** The token endpoint: the subject is bound to the key of the proof. */
  async function exchange(said: Said | null): Promise<Reply> {
    const url = `${world.urls.public}/token`;
    const who = { audience: 'token-exchange', clientId: 'portal', roles: ['user'], boundToKey: holder.jkt };
    const form = {
      grant_type: TOKEN_EXCHANGE,
      subject_token: await world.realm.mint(who),
      subject_token_type: ACCESS_TOKEN,
      audience: 'auth-manager',
      scope: 'grants:read',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: await assertion(),
    };
    return send(url, said && (said.kept ?? (await proof(url, 'POST', said))), {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(form).toString(),
    });
  }

  return {
    /** Both must be let in; the proof that was used is of no use again. */
    sound: () => exchange({}),
    close: () => agent.close(),
    attacks: [
      () => exchange(null),
      async () => {
        const kept = await proof(`${world.urls.public}/token`, 'POST', {});
        const first = await exchange({ kept });
        if (first.status !== 200) throw new Error(`a sound proof was refused: ${first.text}`);
        return exchange({ kept });
      },
      ({ one }: Random) => exchange({ claims: { htm: one(['GET', 'post', '', undefined, 'PUT']) } }),
      ({ one }: Random) =>
        exchange({
          claims: {
            htu: one([
              `${world.urls.api}/token`,
              `${world.urls.public}/introspect`,
              world.urls.public,
              '',
              undefined,
              7,
            ]),
          },
        }),
      ({ one }: Random) => exchange({ claims: { iat: one([seconds() - 600, seconds() + 600, 'now', undefined, 0]) } }),
      ({ one }: Random) => exchange({ claims: { jti: one([undefined, '', 7, ['a']]) } }),
      () => exchange({ by: other }),
      // The right key in the header, another one under the signature, and the other way round.
      () => exchange({ by: other, header: { jwk: holder.jwk } }),
      () => exchange({ header: { jwk: other.jwk } }),
      ({ one }: Random) => exchange({ header: { typ: one(['JWT', 'at+jwt', undefined, 'dpop']) } }),
      async ({ one }: Random) => {
        const { d } = await exportJWK(holder.privateKey);
        const jwk = one([undefined, {}, { ...holder.jwk, d }, { kty: 'oct', k: 'AAAA' }, 'jwk']);
        return exchange({ header: { jwk } });
      },
      async ({ one }: Random) => {
        const [head = '', claims] = (await proof(`${world.urls.public}/token`, 'POST', {})).split('.');
        const header = JSON.parse(Buffer.from(head, 'base64url').toString()) as object;
        const unsigned = Buffer.from(JSON.stringify({ ...header, alg: one(['none', 'HS256']) })).toString('base64url');
        const mac = createHash('sha256').update(`${unsigned}.${claims}`).digest('base64url');
        return exchange({ kept: `${unsigned}.${claims}.${one(['', mac])}` });
      },
      ({ one }: Random) => exchange({ kept: one(['', 'x', 'a.b.c', 'e30.e30.']) }),
    ],
  };
}
