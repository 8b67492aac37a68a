import { assertRealm } from './assert-realm.ts';
import { audienceMapper, builtInScopes, defaultScopes } from './built-in-scopes.ts';
import { assertKnownToKeycloak } from './check.ts';
import { clientRepresentation } from './client-representation.ts';
import { policySettings } from './fapi-policies.ts';
import { federationSettings } from './federation.ts';
import { authenticationFlows, requiredActions } from './flows.ts';
import { type RealmModel, type RoleName, type UserModel } from './model.ts';
import {
  type ClientScopeRepresentation,
  type RealmRepresentation,
  type UserRepresentation,
} from './representations.ts';
import { events, lifetimes, lockout, passwordPolicy, secondFactorPolicies, securityHeaders } from './rules.ts';

const byName =
  <T>(key: (one: T) => string) =>
  (a: T, b: T) =>
    key(a) < key(b) ? -1 : 1;

/** Roles by owner: the realm's own, and each client's. */
function byOwner(roles: readonly RoleName[]): { realm: string[]; clients: Record<string, string[]> } {
  const clients: Record<string, string[]> = {};
  const realm: string[] = [];
  for (const role of [...roles].sort()) {
    const [owner = '', own] = role.split('/');
    if (own === undefined) realm.push(role);
    else (clients[owner] ??= []).push(own);
  }
  return { realm, clients };
}

function userRepresentation(user: UserModel): UserRepresentation {
  const { realm, clients } = byOwner(user.roles);
  return {
    id: user.id,
    username: user.username,
    enabled: true,
    email: user.email,
    emailVerified: true,
    firstName: user.firstName,
    lastName: user.lastName,
    credentials: [{ type: 'password', value: user.password, temporary: false }],
    realmRoles: realm,
    clientRoles: clients,
  };
}

/** Accounts of clients that log themselves in, named here so that their `sub` is the same on every machine. */
const serviceAccounts = ({ clients, serviceAccountId }: RealmModel): UserRepresentation[] =>
  clients
    .filter(({ grants }) => serviceAccountId !== undefined && grants.includes('client-credentials'))
    .map(({ clientId }) => ({
      id: serviceAccountId?.(clientId) ?? '',
      username: `service-account-${clientId}`,
      enabled: true,
      serviceAccountClientId: clientId,
      realmRoles: [],
      clientRoles: {},
    }));

const scopeRepresentations = ({ scopes }: RealmModel): ClientScopeRepresentation[] =>
  scopes.map(({ name, description, inToken, audience }) => ({
    name,
    description,
    protocol: 'openid-connect',
    attributes: {
      'include.in.token.scope': String(inToken),
      'display.on.consent.screen': String(inToken),
      'consent.screen.text': description,
    },
    protocolMappers: audience ? [audienceMapper(audience)] : [],
  }));

/** Which roles a scope needs, and which may stand in a client's tokens, in Keycloak's two tables (AC-3, AC-6). */
function scopeMappings({ scopes, clients }: RealmModel) {
  const gated = [
    { clientScope: 'offline_access', roles: ['offline_access'] },
    ...scopes.map(({ name, roles = [] }) => ({ clientScope: name, roles })),
    ...clients.map(({ clientId, roleScope }) => ({ client: clientId, roles: roleScope })),
  ];
  const clientScopeMappings: Record<string, Record<string, unknown>[]> = {};
  const realmScopeMappings: Record<string, unknown>[] = [];
  for (const { roles, ...holder } of gated) {
    const { realm: own, clients: owned } = byOwner(roles);
    if (own.length > 0) realmScopeMappings.push({ ...holder, roles: own });
    for (const [owner, names] of Object.entries(owned))
      (clientScopeMappings[owner] ??= []).push({ ...holder, roles: names });
  }
  return { scopeMappings: realmScopeMappings, clientScopeMappings };
}

function roleRepresentations({ realmRoles, clients }: RealmModel) {
  const named = (roles: readonly string[]) => [...new Set(roles)].sort().map((name) => ({ name }));
  const own = clients.filter(({ roles }) => roles !== undefined && roles.length > 0);
  return {
    realm: named(['offline_access', ...realmRoles]),
    client: Object.fromEntries(own.map(({ clientId, roles = [] }) => [clientId, named(roles)])),
  };
}

const generatedKey = (providerId: string, config: Record<string, string[]>) => ({
  name: providerId,
  providerId,
  subComponents: {},
  config: { priority: ['100'], ...config },
});

/**
 * ES256 signs every token; HS512 and AES are for what Keycloak only shows to itself. Requests to a SAML provider are signed with RSA:
 * without a key for it the server would make one that no document names.
 */
const keysOf = ({ federation }: RealmModel) => ({
  'org.keycloak.keys.KeyProvider': [
    generatedKey('aes-generated', {}),
    generatedKey('ecdsa-generated', { ecdsaEllipticCurveKey: ['P-256'] }),
    generatedKey('hmac-generated', { algorithm: ['HS512'] }),
    ...(federation.saml.length > 0 ? [generatedKey('rsa-generated', { algorithm: ['RS256'], keySize: ['3072'] })] : []),
  ],
});

/**
 * The realm as Keycloak 26.7 imports it: pure, the same text for the same model, lists in the order of their names.
 * @throws RealmRefused when the realm breaks a rule (R9, R20), or names what neither it nor Keycloak defines
 */
export function compileRealm(given: RealmModel): RealmRepresentation {
  const realm: RealmModel = {
    ...given,
    clients: [...given.clients].sort(byName(({ clientId }) => clientId)),
    scopes: [...given.scopes].sort(byName(({ name }) => name)),
    users: [...given.users].sort(byName(({ username }) => username)),
  };
  assertRealm(realm);
  const { rules } = realm;
  const federation = federationSettings(realm.federation);
  const representation: RealmRepresentation = {
    realm: realm.name,
    displayName: realm.displayName,
    enabled: true,
    sslRequired: 'all',
    registrationAllowed: false,
    loginWithEmailAllowed: false,
    resetPasswordAllowed: false,
    editUsernameAllowed: false,
    defaultSignatureAlgorithm: 'ES256',
    ...(realm.theme ? { loginTheme: realm.theme } : {}),
    ...lifetimes(rules),
    ...lockout(rules),
    passwordPolicy: passwordPolicy(rules.password),
    ...secondFactorPolicies,
    ...events(rules),
    browserSecurityHeaders: securityHeaders,
    attributes: { parRequestUriLifespan: '60', realmReusableOtpCode: 'false' },
    components: { ...keysOf(realm), ...federation.components },
    identityProviders: federation.identityProviders,
    ...authenticationFlows(rules.secondFactor),
    requiredActions: requiredActions(rules.secondFactor),
    ...policySettings(new Set(realm.clients.flatMap(({ policy }) => policy ?? []))),
    roles: roleRepresentations(realm),
    clientScopes: [...builtInScopes, ...scopeRepresentations(realm)].sort(byName(({ name }) => name)),
    defaultDefaultClientScopes: [...defaultScopes],
    defaultOptionalClientScopes: ['offline_access'],
    ...scopeMappings(realm),
    clients: realm.clients.map((client) => clientRepresentation(client, realm)),
    users: [...realm.users.map(userRepresentation), ...serviceAccounts(realm)],
  };
  assertKnownToKeycloak(representation);
  return representation;
}
