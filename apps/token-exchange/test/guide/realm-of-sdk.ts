export const REALM = 'authentication-demo';
export const AUDIENCE = 'authentication-demo';
export const SECRET = 'a-development-secret-of-the-guide';
export const GUIDE_SCOPES = [
  'llama:agent_create',
  'llama:agent_session_create',
  'llama:inference_chat_completion',
  'mcp:list_files',
  'mcp:get_server_info',
  'mcp:health_check',
];
/** Only for who has the role `admin`. */
export const ADMIN_SCOPE = 'mcp:execute_command';

/** The realm that the guide sets up by hand: a confidential client with token exchange, and its scopes. */
export function realmOfSdk(): { realm: string } & Record<string, unknown> {
  const audience = (client: string) => ({
    name: `aud-${client}`,
    protocol: 'openid-connect',
    protocolMapper: 'oidc-audience-mapper',
    config: { 'included.custom.audience': client, 'access.token.claim': 'true' },
  });
  const scope = (name: string, protocolMappers: object[], inToken = true) => ({
    name,
    protocol: 'openid-connect',
    attributes: { 'include.in.token.scope': String(inToken) },
    protocolMappers,
  });
  const subject = {
    name: 'sub',
    protocol: 'openid-connect',
    protocolMapper: 'oidc-sub-mapper',
    config: { 'access.token.claim': 'true' },
  };
  const reachable = {
    name: 'aud',
    protocol: 'openid-connect',
    protocolMapper: 'oidc-audience-mapper',
    config: { 'included.client.audience': AUDIENCE, 'access.token.claim': 'true' },
  };
  const confidential = (clientId: string, exchange: boolean) => ({
    clientId,
    secret: SECRET,
    clientAuthenticatorType: 'client-secret',
    standardFlowEnabled: false,
    fullScopeAllowed: true,
    attributes: { 'standard.token.exchange.enabled': String(exchange) },
    defaultClientScopes: ['basic'],
    optionalClientScopes: [...GUIDE_SCOPES, ADMIN_SCOPE],
  });
  const login = (clientId: string, audiences: string[]) => ({
    clientId,
    publicClient: true,
    standardFlowEnabled: false,
    directAccessGrantsEnabled: true,
    fullScopeAllowed: true,
    defaultClientScopes: ['basic'],
    protocolMappers: [
      ...audiences.map(audience),
      // R3: only the audience's own roles count.
      {
        name: 'roles',
        protocol: 'openid-connect',
        protocolMapper: 'oidc-usermodel-client-role-mapper',
        config: {
          'usermodel.clientRoleMapping.clientId': 'token-exchange',
          'claim.name': 'resource_access.token-exchange.roles',
          'jsonType.label': 'String',
          multivalued: 'true',
          'access.token.claim': 'true',
        },
      },
    ],
  });
  const user = (username: string, realmRoles: string[], roles: string[]) => ({
    username,
    enabled: true,
    email: `${username}@acme.example`,
    emailVerified: true,
    firstName: username,
    lastName: 'Example',
    credentials: [{ type: 'password', value: `${username}-password`, temporary: false }],
    realmRoles,
    clientRoles: { 'token-exchange': roles },
  });
  return {
    realm: REALM,
    enabled: true,
    sslRequired: 'all',
    accessTokenLifespan: 300,
    roles: {
      realm: [{ name: 'admin' }],
      client: { 'token-exchange': [{ name: 'user' }, { name: 'admin' }] },
    },
    clientScopes: [
      scope('basic', [subject], false),
      ...[...GUIDE_SCOPES, ADMIN_SCOPE].map((name) => scope(name, [reachable])),
    ],
    scopeMappings: [{ clientScope: ADMIN_SCOPE, roles: ['admin'] }],
    clients: [
      confidential(REALM, true),
      confidential('without-exchange', false),
      { clientId: 'token-exchange', bearerOnly: true },
      login('portal-login', [REALM, 'without-exchange', 'token-exchange']),
      login('elsewhere-login', ['elsewhere']),
    ],
    users: [user('alice', [], ['user']), user('ada', ['admin'], ['user', 'admin'])],
  };
}
