import { type Profile } from '@postern/profile';
import {
  assertRealm,
  builtInDefaultScopes,
  offlineIdleSeconds,
  offlineMaxSeconds,
  RealmRefused,
  serviceAccountId,
  type Realm,
  type RealmUser,
  type RoleName,
} from '@postern/testing/realm';

import { audienceMapper, builtInScopes } from './built-in-scopes.ts';
import { clientRepresentation } from './client-representation.ts';
import { fapiSettings } from './fapi-policies.ts';
import {
  type ClientScopeRepresentation,
  type RealmRepresentation,
  type RoleRepresentation,
  type UserRepresentation,
} from './representations.ts';

const MINUTE_SECONDS = 60;
const DAY_SECONDS = 86_400;

/** Roles by owner: the realm's own under the empty name. */
function byOwner(roles: readonly RoleName[]): { realm: string[]; clients: Record<string, string[]> } {
  const clients: Record<string, string[]> = {};
  const realm: string[] = [];
  for (const role of roles) {
    const [owner = '', own] = role.split('/');
    if (own === undefined) realm.push(role);
    else (clients[owner] ??= []).push(own);
  }
  return { realm, clients };
}

function userRepresentation(user: RealmUser): UserRepresentation {
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
const serviceAccounts = (realm: Realm): UserRepresentation[] =>
  realm.clients
    .filter(({ grants }) => grants.includes('client-credentials'))
    .map(({ clientId }) => ({
      id: serviceAccountId(realm, clientId),
      username: `service-account-${clientId}`,
      enabled: true,
      serviceAccountClientId: clientId,
      realmRoles: [],
      clientRoles: {},
    }));

const scopeRepresentations = (realm: Realm): ClientScopeRepresentation[] =>
  realm.scopes.map(({ name, description, inToken, audience }) => ({
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

/** Which roles a scope needs, and which may stand in a client's tokens, in Keycloak's two tables. */
function scopeMappings(realm: Realm) {
  const gated = [
    { clientScope: 'offline_access', roles: ['offline_access'] },
    ...realm.scopes.map(({ name, roles = [] }) => ({ clientScope: name, roles })),
    ...realm.clients.map(({ clientId, roleScope }) => ({ client: clientId, roles: roleScope })),
  ];
  const clientScopeMappings: Record<string, Record<string, unknown>[]> = {};
  const realmScopeMappings: Record<string, unknown>[] = [];
  for (const { roles, ...holder } of gated) {
    const { realm: own, clients } = byOwner(roles);
    if (own.length > 0) realmScopeMappings.push({ ...holder, roles: own });
    for (const [owner, names] of Object.entries(clients))
      (clientScopeMappings[owner] ??= []).push({ ...holder, roles: names });
  }
  return { scopeMappings: realmScopeMappings, clientScopeMappings };
}

function roleRepresentations(realm: Realm) {
  const named = (name: string): RoleRepresentation => ({ name });
  const own = realm.clients.filter(({ roles }) => roles !== undefined);
  return {
    realm: [...new Set(['offline_access', ...realm.realmRoles])].map(named),
    client: Object.fromEntries(own.map(({ clientId, roles = [] }) => [clientId, roles.map(named)])),
  };
}

/** Lifetimes, lockout and password rules of a baseline, in Keycloak's words. All times in seconds. */
const profileSettings = (profile: Profile) => ({
  accessTokenLifespan: profile.accessTokenMinutes * MINUTE_SECONDS,
  accessCodeLifespan: MINUTE_SECONDS,
  ssoSessionIdleTimeout: profile.sessionIdleMinutes * MINUTE_SECONDS,
  ssoSessionMaxLifespan: profile.sessionMaxMinutes * MINUTE_SECONDS,
  offlineSessionIdleTimeout: offlineIdleSeconds,
  offlineSessionMaxLifespanEnabled: true,
  offlineSessionMaxLifespan: offlineMaxSeconds,
  bruteForceProtected: true,
  permanentLockout: false,
  bruteForceStrategy: 'MULTIPLE',
  failureFactor: profile.lockoutAttempts,
  waitIncrementSeconds: profile.lockoutMinutes * MINUTE_SECONDS,
  maxFailureWaitSeconds: profile.lockoutMinutes * MINUTE_SECONDS,
  minimumQuickLoginWaitSeconds: MINUTE_SECONDS,
  quickLoginCheckMilliSeconds: 100,
  maxDeltaTimeSeconds: DAY_SECONDS / 2,
  passwordPolicy: [
    `length(${profile.passwordMinLength})`,
    'notUsername(undefined)',
    'passwordHistory(5)',
    `hashAlgorithm(${profile.fipsDefault ? 'pbkdf2-sha512' : 'argon2'})`,
  ].join(' and '),
});

const generatedKey = (providerId: string, config: Record<string, string[]>) => ({
  name: providerId,
  providerId,
  subComponents: {},
  config: { priority: ['100'], ...config },
});

/** ES256 signs every token; HS512 and AES are for what Keycloak only shows to itself. */
const keys = {
  'org.keycloak.keys.KeyProvider': [
    generatedKey('ecdsa-generated', { ecdsaEllipticCurveKey: ['P-256'] }),
    generatedKey('hmac-generated', { algorithm: ['HS512'] }),
    generatedKey('aes-generated', {}),
  ],
};

export type RealmForOptions = {
  realm: Realm;
  profile: Profile;
  /** Subject of the CA that issues workload certificates, RFC 2253. */
  trustedIssuerDn: string;
};

/**
 * The realm as Keycloak 26.7 imports it. Pure.
 * @throws RealmRefused when the realm breaks a rule: certificate-bound with offline_access (R9), rotation of refresh
 * tokens in a profile of FAPI 2.0 (R20)
 */
export function realmFor({ realm, profile, trustedIssuerDn }: RealmForOptions): RealmRepresentation {
  assertRealm(realm);
  if (profile.fapi && realm.rotation !== 'off')
    throw new RealmRefused(`realm ${realm.name}: ${profile.name} forbids rotation (R20)`);
  return {
    realm: realm.name,
    displayName: realm.displayName,
    enabled: true,
    sslRequired: 'all',
    registrationAllowed: false,
    loginWithEmailAllowed: false,
    defaultSignatureAlgorithm: 'ES256',
    ...profileSettings(profile),
    revokeRefreshToken: realm.rotation !== 'off',
    refreshTokenMaxReuse: realm.rotation === 'off' ? 0 : realm.rotation.maxReuse,
    attributes: { parRequestUriLifespan: '60' },
    eventsEnabled: true,
    eventsExpiration: DAY_SECONDS,
    eventsListeners: ['jboss-logging'],
    adminEventsEnabled: true,
    components: keys,
    ...fapiSettings(profile),
    roles: roleRepresentations(realm),
    clientScopes: [...builtInScopes, ...scopeRepresentations(realm)],
    defaultDefaultClientScopes: [...builtInDefaultScopes],
    defaultOptionalClientScopes: ['offline_access'],
    ...scopeMappings(realm),
    clients: realm.clients.map((client) => clientRepresentation(client, profile, trustedIssuerDn)),
    users: [...realm.users.map(userRepresentation), ...serviceAccounts(realm)],
  };
}
