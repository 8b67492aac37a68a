import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { randomUUID } from 'node:crypto';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';
import type { Authority } from '../authority/authority.ts';
import { developmentCa } from '../authority/development-ca.ts';
import { claimsOf, TYP, type MintOptions, type TokenKind } from './claims.ts';

export type TestIssuerOptions = {
  /** What it may mint. Default a Postern access token. */
  kinds?: readonly TokenKind[];
  /** The tenant of a realm, and of a Postern token that is not given another. Default `acme`. */
  tenant?: string;
  authority?: Authority;
};

/** An issuer for specs: real signatures, and a real key set over TLS. */
export type TestIssuer = {
  /** Its line in an operator's table (R1). */
  entry: {
    issuer: string;
    jwksUri: string;
    kinds: TokenKind[];
    algorithms: 'ES256'[];
    scopeCeiling: 'policy';
    tenant: { fixed: string } | { claim: 'tenant' };
  };
  mint(options: MintOptions): Promise<string>;
  /** Signs with a new key from now on. The ones before stay published. */
  rotate(): Promise<void>;
  close(): Promise<void>;
};

type SigningKey = { kid: string; privateKey: CryptoKey; jwk: JWK };

/** Starts an issuer on loopback, with a certificate of the development authority. Close it after all tests. */
export async function testIssuer(options: TestIssuerOptions = {}): Promise<TestIssuer> {
  const { kinds = ['postern-access'], tenant = 'acme', authority = developmentCa() } = options;
  const keys = [await newKey()];
  const { cert, key } = await authority.issue('identity-provider');
  const server = createServer({ cert, key, minVersion: 'TLSv1.3' }, (request, response) => {
    const at = `https://${request.headers.host}`;
    const documents: Record<string, () => unknown> = {
      [KEY_SET_PATH]: () => ({ keys: keys.map(({ jwk }) => jwk) }),
      [METADATA_PATH]: () => ({ issuer: `${at}${ISSUER_PATH}`, jwks_uri: `${at}${KEY_SET_PATH}` }),
    };
    const document = request.method === 'GET' ? documents[request.url ?? ''] : undefined;
    response.writeHead(document ? 200 : 404, { 'content-type': 'application/json', 'cache-control': 'max-age=60' });
    response.end(document ? JSON.stringify(document()) : undefined);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const issuer = `${origin}${ISSUER_PATH}`;
  const [defaultKind] = kinds;
  if (defaultKind === undefined) throw new Error('an issuer mints at least one kind');
  return {
    entry: {
      issuer,
      jwksUri: `${origin}${KEY_SET_PATH}`,
      kinds: [...kinds],
      algorithms: ['ES256'],
      scopeCeiling: 'policy',
      tenant: kinds.includes('provider-access') ? { fixed: tenant } : { claim: 'tenant' },
    },
    mint(options) {
      const { kind = defaultKind, typ = TYP[kind] } = options;
      const { kid, privateKey } = keys.at(-1)!;
      return new SignJWT(claimsOf({ tenant, ...options, kind }, issuer))
        .setProtectedHeader({ alg: 'ES256', kid, typ })
        .sign(privateKey);
    },
    async rotate() {
      keys.push(await newKey());
    },
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

const ISSUER_PATH = '/realms/postern';
const KEY_SET_PATH = `${ISSUER_PATH}/protocol/openid-connect/certs`;
// OpenID Connect Discovery 1.0 section 4.
const METADATA_PATH = `${ISSUER_PATH}/.well-known/openid-configuration`;

async function newKey(): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  const kid = randomUUID();
  return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' } };
}
