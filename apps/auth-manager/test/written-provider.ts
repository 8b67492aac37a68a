import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey } from 'jose';
import type { World } from './world.ts';

const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout';

/**
 * A provider of which only metadata and keys answer; what it says of logouts is the test's to write, and what it answers at
 * a path of its own (`introspect`, ...).
 */
export async function startWrittenProvider(
  world: World,
  metadata: object = {},
  says: Readonly<Record<string, () => object>> = {},
) {
  const { cert, key } = await world.authority.issue('identity-provider');
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' };
  const server = createServer({ cert, key }, (incoming, response) => {
    response.setHeader('content-type', 'application/json');
    if (incoming.url === '/keys') return response.end(JSON.stringify({ keys: [jwk] }));
    const said = says[(incoming.url ?? '').slice(1)];
    if (said) return response.end(JSON.stringify(said()));
    const at = (path: string) => `${issuer}/${path}`;
    return response.end(
      JSON.stringify({
        issuer,
        jwks_uri: at('keys'),
        authorization_endpoint: at('auth'),
        token_endpoint: at('token'),
        introspection_endpoint: at('introspect'),
        revocation_endpoint: at('revoke'),
        pushed_authorization_request_endpoint: at('par'),
        code_challenge_methods_supported: ['S256'],
        token_endpoint_auth_methods_supported: ['private_key_jwt'],
        ...metadata,
      }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const issuer = `https://127.0.0.1:${port}`;
  return {
    issuer,
    port,
    /** A logout token (OpenID Connect Back-Channel Logout 1.0, 2.4), good but for what is changed. */
    logoutToken(claims: object = {}, { by = privateKey, ...header }: { by?: CryptoKey; typ?: string } = {}) {
      const now = Math.floor(Date.now() / 1000);
      const good = { iss: issuer, aud: 'portal', jti: crypto.randomUUID(), iat: now, exp: now + 120, sub: 'alice' };
      return new SignJWT({ ...good, events: { [LOGOUT_EVENT]: {} }, ...claims } as Record<string, unknown>)
        .setProtectedHeader({ alg: 'ES256', typ: 'logout+jwt', kid: 'k1', ...header })
        .sign(by);
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
