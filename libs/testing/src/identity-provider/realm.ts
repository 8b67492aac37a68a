import { createHash } from 'node:crypto';

/** A role: `client/role` for a client's own, a bare name for the realm's. */
export type RoleName = string;

/** How a client proves itself at the token endpoint. */
export type ClientAuthentication =
  | { kind: 'public' }
  | { kind: 'secret'; secret: string }
  /** `tls_client_auth` (RFC 8705, 2.1) by the whole subject, written as in RFC 2253, e.g. `CN=portal`. */
  | { kind: 'certificate'; subjectDn: string }
  /** `private_key_jwt` (RFC 7523) with ES256. */
  | { kind: 'private-key'; jwks: { keys: Record<string, unknown>[] } };

/** A client scope beyond Keycloak's built-in ones. */
export type RealmScope = {
  name: string;
  description: string;
  /** Whether its name stands in a token's `scope`. */
  inToken: boolean;
  /** The client that a token with this scope is also meant for. */
  audience?: string;
  /** Only a user with one of these gets it; anybody else gets a token without it and without an error. */
  roles?: RoleName[];
};

export type RealmClient = {
  clientId: string;
  description: string;
  authentication: ClientAuthentication;
  /** Which grants it may use; none for a client that is only an audience and a bearer of roles. */
  grants: ('code' | 'client-credentials' | 'token-exchange')[];
  /** What its access tokens are bound to (RFC 8705, RFC 9449). */
  binding: 'none' | 'certificate' | 'dpop';
  redirectUris: string[];
  postLogoutRedirectUris?: string[];
  requirePkce: boolean;
  requirePar: boolean;
  requireConsent: boolean;
  /** Scopes beyond the built-in defaults: given without being asked for, and on request. */
  defaultScopes: string[];
  optionalScopes: string[];
  /** Roles that this client defines. */
  roles?: string[];
  /** Roles that may stand in its tokens, when its user has them. */
  roleScope: RoleName[];
  /** May introspect tokens that are not meant for it, as its own refresh tokens are not (R18, R20). */
  introspectsAnyToken?: boolean;
  /** OpenID Connect Back-Channel Logout 1.0. */
  backchannelLogout?: { url: string; revokeOffline: boolean };
  /** Whether an exchange may also ask for a refresh token of the same session. */
  exchangeForRefreshTokens?: boolean;
};

export type RealmUser = {
  /** A UUID: the `sub` of the user's tokens. */
  id: string;
  username: string;
  password: string;
  email: string;
  firstName: string;
  lastName: string;
  /** `offline_access` among them lets the user's clients have offline tokens. */
  roles: RoleName[];
};

/** The plain description of one realm, from which the development provider runs and the real Keycloak is set up. */
export type Realm = {
  name: string;
  displayName: string;
  /** `off`: a refresh token is good until its session ends; else it may be used `maxReuse` times more than once (R20). */
  rotation: 'off' | { maxReuse: number };
  realmRoles: string[];
  scopes: RealmScope[];
  clients: RealmClient[];
  users: RealmUser[];
};

/** Client scopes that every client has by default, as in a realm that Keycloak makes by itself. */
export const builtInDefaultScopes = ['acr', 'basic', 'email', 'profile', 'roles', 'web-origins'] as const;

/** Those of them whose names stand in a token's `scope`. */
export const builtInScopesInToken = ['email', 'profile'] as const;

const DAY_SECONDS = 86_400;

/** Offline sessions end after this long without a refresh, and after this long at all. */
export const offlineIdleSeconds = 30 * DAY_SECONDS;
export const offlineMaxSeconds = 60 * DAY_SECONDS;

/** A UUID of a user, `realm/username`: the same on every machine and in both providers. */
export function stableId(name: string): string {
  const hex = createHash('sha256').update(`postern-development:${name}`).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), `5${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    '-',
  );
}

/** Refused sets of settings, each one a hole closed by a rule. */
export class RealmRefused extends Error {
  override name = 'RealmRefused';
}

/**
 * Checks what no realm of ours may hold.
 * @throws RealmRefused for a certificate-bound client that may have offline tokens: its grants would die with the
 * certificate (R9); for a scope, role or audience that the realm does not define.
 */
export function assertRealm(realm: Realm): void {
  const clients = new Map(realm.clients.map((client) => [client.clientId, client]));
  const scopes = new Set([...builtInDefaultScopes, 'offline_access', ...realm.scopes.map(({ name }) => name)]);
  const roles = new Set([
    'offline_access',
    ...realm.realmRoles,
    ...realm.clients.flatMap(({ clientId, roles: own = [] }) => own.map((role) => `${clientId}/${role}`)),
  ]);
  const refuse = (reason: string): never => {
    throw new RealmRefused(`realm ${realm.name}: ${reason}`);
  };
  for (const client of realm.clients) {
    const own = [...client.defaultScopes, ...client.optionalScopes];
    if (client.binding === 'certificate' && own.includes('offline_access')) {
      refuse(`client ${client.clientId} is certificate-bound and may not have offline_access (R9)`);
    }
    for (const scope of own)
      if (!scopes.has(scope)) refuse(`client ${client.clientId} names the unknown scope ${scope}`);
    for (const role of client.roleScope)
      if (!roles.has(role)) refuse(`client ${client.clientId} names the unknown role ${role}`);
  }
  for (const scope of realm.scopes) {
    if (scope.audience && !clients.has(scope.audience))
      refuse(`scope ${scope.name} names the unknown client ${scope.audience}`);
    for (const role of scope.roles ?? [])
      if (!roles.has(role)) refuse(`scope ${scope.name} names the unknown role ${role}`);
  }
  for (const user of realm.users) {
    for (const role of user.roles) if (!roles.has(role)) refuse(`user ${user.username} has the unknown role ${role}`);
  }
}

/** The UUID of the account with which a client logs itself in. */
export const serviceAccountId = (realm: Realm, clientId: string) =>
  stableId(`${realm.name}/service-account-${clientId}`);

/**
 * Whether FAPI 2.0 holds for a client: in a profile of FAPI 2.0, for every client that proves itself with a key and has
 * bound tokens. Then its assertions are for the issuer alone, its logins are pushed, and its tokens are revoked only
 * over the connection they are bound to.
 */
export function fapiKindOf(client: RealmClient, profile: { fapi: boolean }): 'certificate' | 'dpop' | undefined {
  const proven = client.authentication.kind === 'certificate' || client.authentication.kind === 'private-key';
  return profile.fapi && proven && client.binding !== 'none' ? client.binding : undefined;
}
