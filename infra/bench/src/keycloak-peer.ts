import { developmentCa } from '@postern/testing';
import { startKeycloak } from '@postern/testing/keycloak';
import { Agent, request } from 'undici';

import { load, type Target } from './load.ts';

const PASSWORD = 'development-only-2026!';
/** So long that the server's second compiler has seen the path of a request often. */
const WARM_UP_MS = 20_000;
const PATH = '/realms/bench/protocol/openid-connect/token';

const mapper = (name: string, protocolMapper: string, config: Record<string, string>) => ({
  name,
  protocol: 'openid-connect',
  protocolMapper,
  config: { 'access.token.claim': 'true', ...config },
});

/** The same person, client, audience and scope; the client proves itself by its certificate, as at our side. */
const realm = {
  realm: 'bench',
  enabled: true,
  accessTokenLifespan: 3_600,
  clientScopes: [
    { name: 'offline_access', protocol: 'openid-connect', attributes: { 'include.in.token.scope': 'true' } },
    {
      name: 'records:read',
      protocol: 'openid-connect',
      attributes: { 'include.in.token.scope': 'true' },
      protocolMappers: [
        mapper('aud', 'oidc-audience-mapper', { 'included.client.audience': 'crypto-store' }),
        mapper('sub', 'oidc-sub-mapper', {}),
      ],
    },
  ],
  clients: [
    {
      clientId: 'portal',
      enabled: true,
      publicClient: false,
      clientAuthenticatorType: 'client-x509',
      directAccessGrantsEnabled: true,
      attributes: {
        'standard.token.exchange.enabled': 'true',
        'x509.subjectdn': 'CN=portal',
        'x509.allow.regex.pattern.comparison': 'false',
      },
      optionalClientScopes: ['records:read', 'offline_access'],
      protocolMappers: [mapper('sub', 'oidc-sub-mapper', {})],
    },
    { clientId: 'crypto-store', enabled: true, bearerOnly: true },
  ],
  users: [
    {
      username: 'alice',
      firstName: 'Alice',
      lastName: 'Example',
      email: 'alice@acme.example',
      emailVerified: true,
      enabled: true,
      realmRoles: ['default-roles-bench', 'offline_access'],
      credentials: [{ type: 'password', value: PASSWORD, temporary: false }],
    },
  ],
};

export type KeycloakPeer = { target: Target; pids: number[]; close(): Promise<void> };

/** What alice's login gave: her tokens at the client `portal`. */
type Login = { access_token?: string; refresh_token?: string };

/**
 * Keycloak 26 on its embedded database, over the same mutual TLS, warmed: it is asked again and again for what `formOf` makes
 * of a login with these scopes.
 */
export async function openKeycloakPeer(scope: string, formOf: (login: Login) => string): Promise<KeycloakPeer> {
  const authority = developmentCa();
  const [server, { cert, key, ca }] = await Promise.all([
    authority.issue('identity-provider'),
    authority.issue('portal'),
  ]);
  const keycloak = await startKeycloak({ tls: server, realms: [realm], compiler: 'default' });
  const tls = { cert, key, ca };
  const agent = new Agent({ connect: tls });
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const form = { grant_type: 'password', client_id: 'portal', username: 'alice', password: PASSWORD, scope };
  const body = new URLSearchParams(form).toString();
  const answer = await request(`${keycloak.url}${PATH}`, { dispatcher: agent, method: 'POST', headers, body });
  const asked = formOf((await answer.body.json()) as Login);
  await agent.close();
  const target: Target = { url: keycloak.url, tls, call: () => ({ method: 'POST', path: PATH, headers, body: asked }) };
  await load(target, { ms: WARM_UP_MS });
  return { target, pids: [keycloak.pid], close: keycloak.close };
}
