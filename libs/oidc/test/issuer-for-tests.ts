import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JSONWebKeySet, type JWTPayload } from 'jose';
import { Agent } from 'undici';
import { fetchJwksOver, type IssuerEntry } from '../src/index.ts';

export const issuer = 'https://issuer.dev.postern.internal/realms/postern';
export const thumbprint = 'A'.repeat(43);

export type Signer = { kid: string; alg: string; privateKey: CryptoKey; publicKey: CryptoKey };

export async function newSigner(kid: string, alg = 'ES256'): Promise<Signer> {
  return { kid, alg, ...(await generateKeyPair(alg, { extractable: true })) };
}

/** A key set served over a socket, that counts how often it is read and can be changed or stopped. */
export async function serveKeySet(signers: Signer[]) {
  let jwks: JSONWebKeySet = { keys: [] };
  let status = 200;
  let reads = 0;
  const publish = async (published: Signer[]) => {
    const keys = published.map(async ({ kid, alg, publicKey }) => ({ ...(await exportJWK(publicKey)), kid, alg }));
    jwks = { keys: await Promise.all(keys) };
  };
  await publish(signers);
  const server = createServer((_, response) => {
    reads += 1;
    response.writeHead(status, { 'content-type': 'application/jwk-set+json' }).end(JSON.stringify(jwks));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const agent = new Agent();
  return {
    uri: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`,
    fetchJwks: fetchJwksOver(agent),
    publish,
    reads: () => reads,
    fail: (failing: boolean) => (status = failing ? 503 : 200),
    close: async () => {
      await agent.close();
      await new Promise((closed) => server.close(closed));
    },
  };
}

export function entryOf(jwksUri: string, over: Partial<IssuerEntry> = {}): IssuerEntry {
  return {
    issuer,
    jwksUri,
    kinds: ['provider-access'],
    algorithms: ['ES256'],
    scopeCeiling: 'policy',
    tenant: { fixed: 'acme' },
    ...over,
  };
}

export const seconds = () => Math.floor(Date.now() / 1000);

/** The claims of alice's token from the realm; `over` with `undefined` removes one. */
export function realmClaims(over: Record<string, unknown> = {}): JWTPayload {
  const claims = {
    iss: issuer,
    sub: 'alice-id',
    aud: 'token-exchange',
    azp: 'portal',
    sid: 'session-1',
    jti: `jti-${Math.random()}`,
    iat: seconds(),
    exp: seconds() + 300,
    scope: 'openid',
    cnf: { 'x5t#S256': thumbprint },
    resource_access: { 'token-exchange': { roles: ['user'] }, other: { roles: ['admin'] } },
    ...over,
  };
  return JSON.parse(JSON.stringify(claims)) as JWTPayload;
}

export function sign(signer: Signer, claims: JWTPayload, header: Record<string, unknown> = {}): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: signer.alg, kid: signer.kid, typ: 'at+jwt', ...header })
    .sign(signer.privateKey);
}
