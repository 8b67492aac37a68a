import { readFileSync } from 'node:fs';
import { policyDocument } from '@postern/policy';

export const REALM = 'guide-by-hand';
export const CLIENT = 'authentication-demo';
export const SECRET = 'a+secret%of the:guide';
export const PASSWORD = 'development-only-2026!';

export const example = policyDocument.parse(
  JSON.parse(
    readFileSync(new URL('../../../../libs/policy/examples/token-exchange-guide.json', import.meta.url), 'utf8'),
  ),
);

const mapper = (name: string, protocolMapper: string, config: Record<string, string>) => ({
  name,
  protocol: 'openid-connect',
  protocolMapper,
  config: { 'access.token.claim': 'true', 'introspection.token.claim': 'true', ...config },
});
const audience = (client: string) =>
  mapper(`aud-${client}`, 'oidc-audience-mapper', { 'included.client.audience': client });
const scope = (name: string, client: string) => ({
  name,
  protocol: 'openid-connect',
  attributes: { 'include.in.token.scope': 'true' },
  protocolMappers: [audience(client)],
});
const user = (username: string, roles: string[], realmRoles: string[] = []) => ({
  realmRoles,
  username,
  firstName: username,
  lastName: 'Example',
  email: `${username}@demo.example`,
  emailVerified: true,
  enabled: true,
  credentials: [{ type: 'password', value: PASSWORD, temporary: false }],
  clientRoles: { 'token-exchange': roles },
});
const resource = (clientId: string) => ({ clientId, enabled: true, bearerOnly: true });

/** The guide's realm, with what its step "Keycloak configuration" asks for, and a service that Postern does not mint for. */
export const realmByHand = {
  realm: REALM,
  enabled: true,
  sslRequired: 'all',
  accessTokenLifespan: 300,
  clientScopes: [
    ...example.scopes.map(({ name, audience: target }) => scope(name, target)),
    scope('billing:read', 'billing'),
    scope('billing:admin', 'billing'),
    scope('billing:stray', 'mcp'),
  ],
  scopeMappings: [{ clientScope: 'billing:admin', roles: ['billing-admin'] }],
  clients: [
    {
      clientId: CLIENT,
      enabled: true,
      publicClient: false,
      secret: SECRET,
      directAccessGrantsEnabled: true,
      fullScopeAllowed: true,
      attributes: { 'standard.token.exchange.enabled': 'true' },
      optionalClientScopes: example.scopes.map(({ name }) => name),
      protocolMappers: [
        mapper('sub', 'oidc-sub-mapper', {}),
        mapper('roles', 'oidc-usermodel-client-role-mapper', {
          'claim.name': 'resource_access.${client_id}.roles',
          'jsonType.label': 'String',
          multivalued: 'true',
        }),
        audience('token-exchange'),
      ],
    },
    {
      clientId: 'token-exchange',
      enabled: true,
      publicClient: false,
      clientAuthenticatorType: 'client-x509',
      standardFlowEnabled: false,
      fullScopeAllowed: false,
      attributes: {
        'standard.token.exchange.enabled': 'true',
        'x509.subjectdn': 'CN=token-exchange',
        'x509.allow.regex.pattern.comparison': 'false',
      },
      optionalClientScopes: ['billing:read', 'billing:admin', 'billing:stray'],
      protocolMappers: [mapper('sub', 'oidc-sub-mapper', {})],
    },
    { clientId: 'portal', enabled: true, publicClient: false, secret: SECRET },
    resource('mcp'),
    resource('llama'),
    resource('billing'),
    {
      clientId: 'stranger',
      enabled: true,
      publicClient: false,
      secret: SECRET,
      attributes: { 'standard.token.exchange.enabled': 'true' },
    },
  ],
  roles: { realm: [{ name: 'billing-admin' }], client: { 'token-exchange': [{ name: 'user' }, { name: 'admin' }] } },
  users: [user('alice', ['user']), user('ada', ['admin'], ['billing-admin'])],
};
