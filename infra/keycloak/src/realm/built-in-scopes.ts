import { type ClientScopeRepresentation, type ProtocolMapper } from './representations.ts';

/** Where a mapped claim goes. */
type Target = 'access' | 'id' | 'userinfo';

const targets = (...into: Target[]) => ({
  'introspection.token.claim': 'true',
  ...Object.fromEntries(
    into.map((target) => [target === 'userinfo' ? 'userinfo.token.claim' : `${target}.token.claim`, 'true']),
  ),
});

const mapper = (name: string, protocolMapper: string, config: Record<string, string>): ProtocolMapper => ({
  name,
  protocol: 'openid-connect',
  protocolMapper,
  consentRequired: false,
  config,
});

const claim = (name: string, type = 'String') => ({ 'claim.name': name, 'jsonType.label': type });

const attribute = (name: string, attributeName: string, claimName: string, type?: string) =>
  mapper(name, 'oidc-usermodel-attribute-mapper', {
    ...targets('access', 'id', 'userinfo'),
    'user.attribute': attributeName,
    ...claim(claimName, type),
  });

const sessionNote = (name: string, note: string, claimName: string, type?: string) =>
  mapper(name, 'oidc-usersessionmodel-note-mapper', {
    ...targets('access', 'id'),
    'user.session.note': note,
    ...claim(claimName, type),
  });

const scope = (
  name: string,
  description: string,
  shown: { inToken?: boolean; consent?: string },
  protocolMappers: ProtocolMapper[],
): ClientScopeRepresentation => ({
  name,
  description,
  protocol: 'openid-connect',
  attributes: {
    ...(shown.inToken === undefined ? {} : { 'include.in.token.scope': String(shown.inToken) }),
    'display.on.consent.screen': String(shown.consent !== undefined),
    ...(shown.consent === undefined ? {} : { 'consent.screen.text': `\${${shown.consent}}` }),
  },
  protocolMappers,
});

const builtIn = (name: string) => `OpenID Connect built-in scope: ${name}`;

const profileAttributes: [name: string, attributeName: string, claimName: string, type?: string][] = [
  ['username', 'username', 'preferred_username'],
  ['given name', 'firstName', 'given_name'],
  ['family name', 'lastName', 'family_name'],
  ['middle name', 'middleName', 'middle_name'],
  ['nickname', 'nickname', 'nickname'],
  ['profile', 'profile', 'profile'],
  ['picture', 'picture', 'picture'],
  ['website', 'website', 'website'],
  ['gender', 'gender', 'gender'],
  ['birthdate', 'birthdate', 'birthdate'],
  ['zoneinfo', 'zoneinfo', 'zoneinfo'],
  ['locale', 'locale', 'locale'],
  ['updated at', 'updatedAt', 'updated_at', 'long'],
];

/**
 * The client scopes that Keycloak 26.7.3 makes for a new realm (without SAML's, addresses, phones and organizations).
 * A realm that is given any client scope gets none of them by itself; without `basic` a token has no `sub`.
 */
export const builtInScopes: readonly ClientScopeRepresentation[] = [
  scope('offline_access', builtIn('offline_access'), { consent: 'offlineAccessScopeConsentText' }, []),
  scope('profile', builtIn('profile'), { inToken: true, consent: 'profileScopeConsentText' }, [
    mapper('full name', 'oidc-full-name-mapper', targets('access', 'id', 'userinfo')),
    ...profileAttributes.map((one) => attribute(...one)),
  ]),
  scope('email', builtIn('email'), { inToken: true, consent: 'emailScopeConsentText' }, [
    attribute('email', 'email', 'email'),
    mapper('email verified', 'oidc-usermodel-property-mapper', {
      ...targets('access', 'id', 'userinfo'),
      'user.attribute': 'emailVerified',
      ...claim('email_verified', 'boolean'),
    }),
  ]),
  scope('basic', 'OpenID Connect scope for add all basic claims to the token', { inToken: false }, [
    mapper('sub', 'oidc-sub-mapper', targets('access')),
    sessionNote('auth_time', 'AUTH_TIME', 'auth_time', 'long'),
  ]),
  scope(
    'acr',
    'OpenID Connect scope for add acr (authentication context class reference) to the token',
    { inToken: false },
    [mapper('acr loa level', 'oidc-acr-mapper', targets('access', 'id'))],
  ),
  scope('web-origins', 'OpenID Connect scope for add allowed web origins to the access token', { inToken: false }, [
    mapper('allowed web origins', 'oidc-allowed-origins-mapper', targets('access')),
  ]),
  scope(
    'roles',
    'OpenID Connect scope for add user roles to the access token',
    { inToken: false, consent: 'rolesScopeConsentText' },
    [
      mapper('realm roles', 'oidc-usermodel-realm-role-mapper', {
        ...targets('access'),
        multivalued: 'true',
        ...claim('realm_access.roles'),
      }),
      mapper('client roles', 'oidc-usermodel-client-role-mapper', {
        ...targets('access'),
        multivalued: 'true',
        ...claim('resource_access.${client_id}.roles'),
      }),
      mapper('audience resolve', 'oidc-audience-resolve-mapper', targets('access')),
    ],
  ),
  scope('service_account', 'Specific scope for a client enabled for service accounts', { inToken: false }, [
    sessionNote('Client ID', 'client_id', 'client_id'),
    sessionNote('Client Host', 'clientHost', 'clientHost'),
    sessionNote('Client IP Address', 'clientAddress', 'clientAddress'),
  ]),
];

/** Those of them that every client has by default, as in a realm that Keycloak makes by itself. */
export const defaultScopes = ['acr', 'basic', 'email', 'profile', 'roles', 'web-origins'] as const;

/** The mapper that puts a client into `aud` when its scope is granted. */
export const audienceMapper = (clientId: string): ProtocolMapper =>
  mapper(`audience ${clientId}`, 'oidc-audience-mapper', {
    ...targets('access'),
    'included.client.audience': clientId,
  });
