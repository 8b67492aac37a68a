import { createHash, randomUUID } from 'node:crypto';

import { type JWTPayload } from 'jose';

import { type ProviderState } from './provider-state.ts';
import { serviceAccountId, type RealmClient, type RealmUser } from './realm.ts';
import { rightsOf, type Rights } from './scopes.ts';
import { type SessionKind, type UserSession } from './sessions.ts';

/** What the tokens of one answer are bound to. */
export type TokenBinding = { thumbprint?: string; jkt?: string };

/** The realm's own account of a client that logs itself in. */
export const serviceAccountOf = (state: ProviderState, client: RealmClient): RealmUser => ({
  id: serviceAccountId(state.realm, client.clientId),
  username: `service-account-${client.clientId}`,
  password: '',
  email: '',
  firstName: '',
  lastName: '',
  roles: [],
});

const profileClaims = (user: RealmUser): JWTPayload =>
  user.email
    ? {
        email_verified: true,
        name: `${user.firstName} ${user.lastName}`,
        preferred_username: user.username,
        given_name: user.firstName,
        family_name: user.lastName,
        email: user.email,
      }
    : { email_verified: false, preferred_username: user.username };

/** `cnf`, RFC 7800: as Keycloak writes it, also naming the kind for DPoP. */
const confirmation = ({ thumbprint, jkt }: TokenBinding): JWTPayload => ({
  ...(thumbprint || jkt
    ? { cnf: { ...(thumbprint ? { 'x5t#S256': thumbprint } : {}), ...(jkt ? { jkt, 'kc-jkt-type': 'DPoP' } : {}) } }
    : {}),
});

export type AccessTokenRequest = {
  client: RealmClient;
  user: RealmUser;
  rights: Rights;
  session?: UserSession;
  binding: TokenBinding;
};

/** An access token as Keycloak writes them, with `typ: at+jwt` (RFC 9068) in its header; `aud` a string or an array. */
export async function accessToken(state: ProviderState, request: AccessTokenRequest): Promise<string> {
  const { client, user, rights, session, binding } = request;
  const iat = state.nowSeconds();
  const { audiences, realmRoles, clientRoles } = rights;
  const origins = [...new Set(client.redirectUris.map((uri) => new URL(uri).origin))];
  const payload: JWTPayload = {
    exp: iat + state.profile.accessTokenMinutes * 60,
    iat,
    ...(session ? { auth_time: session.authTime } : {}),
    jti: randomUUID(),
    iss: state.issuer,
    ...(audiences.length > 0 ? { aud: audiences.length === 1 ? audiences[0] : audiences } : {}),
    sub: user.id,
    typ: binding.jkt ? 'DPoP' : 'Bearer',
    azp: client.clientId,
    ...(session ? { sid: session.sid } : {}),
    acr: session?.acr ?? '1',
    ...(origins.length > 0 ? { 'allowed-origins': origins } : {}),
    ...(realmRoles.length > 0 ? { realm_access: { roles: realmRoles } } : {}),
    ...(Object.keys(clientRoles).length > 0
      ? { resource_access: Object.fromEntries(Object.entries(clientRoles).map(([owner, roles]) => [owner, { roles }])) }
      : {}),
    ...confirmation(binding),
    scope: rights.scope,
    ...profileClaims(user),
    ...(session ? {} : { client_id: client.clientId, clientHost: '127.0.0.1', clientAddress: '127.0.0.1' }),
  };
  return state.keys.sign(payload, 'at+jwt');
}

/** OpenID Connect Core 1.0, section 2. */
export async function idToken(
  state: ProviderState,
  client: RealmClient,
  user: RealmUser,
  session: UserSession,
  extra: { nonce?: string; accessToken?: string },
): Promise<string> {
  const iat = state.nowSeconds();
  const hash = extra.accessToken && createHash('sha256').update(extra.accessToken).digest().subarray(0, 16);
  return state.keys.sign(
    {
      exp: iat + state.profile.accessTokenMinutes * 60,
      iat,
      auth_time: session.authTime,
      jti: randomUUID(),
      iss: state.issuer,
      aud: client.clientId,
      sub: user.id,
      typ: 'ID',
      azp: client.clientId,
      ...(extra.nonce ? { nonce: extra.nonce } : {}),
      sid: session.sid,
      ...(hash ? { at_hash: hash.toString('base64url') } : {}),
      acr: session.acr,
      ...profileClaims(user),
    },
    'JWT',
  );
}

/** The refresh token of one client in one login. A certificate-bound client's is bound to the same certificate. */
export function refreshToken(
  state: ProviderState,
  client: RealmClient,
  kind: SessionKind,
  session: UserSession,
  binding: TokenBinding,
): { token: string; expiresIn: number } {
  const iat = state.nowSeconds();
  const { idle, max } = state.sessions.limits[kind];
  const expiresIn = Math.max(0, Math.min(idle, session.startedAt + max - iat));
  const part = session.clients[client.clientId];
  const bound =
    client.authentication.kind === 'public'
      ? binding
      : { ...(binding.thumbprint ? { thumbprint: binding.thumbprint } : {}) };
  const payload: JWTPayload = {
    exp: iat + expiresIn,
    iat,
    jti: randomUUID(),
    iss: state.issuer,
    aud: state.issuer,
    sub: session.sub,
    typ: kind === 'offline' ? 'Offline' : 'Refresh',
    azp: client.clientId,
    sid: session.sid,
    ...(part?.nonce ? { nonce: part.nonce } : {}),
    ...confirmation(bound),
    scope: part?.scope ?? '',
  };
  return { token: state.keys.signForSelf(payload), expiresIn };
}

/** The whole answer to a login or a refresh, RFC 6749, 5.1, with Keycloak's additions. */
export async function sessionAnswer(
  state: ProviderState,
  client: RealmClient,
  kind: SessionKind,
  session: UserSession,
  binding: TokenBinding,
  scope?: string,
): Promise<Record<string, unknown>> {
  const user = state.userById(session.sub);
  const part = session.clients[client.clientId];
  if (!user || !part) throw new Error('a login without its user or its client');
  const rights = rightsOf(state.realm, client, user, scope ?? part.scope);
  const access = await accessToken(state, { client, user, rights, session, binding });
  const refresh = refreshToken(state, client, kind, session, binding);
  const openid = rights.scope.split(' ').includes('openid');
  return {
    access_token: access,
    expires_in: state.profile.accessTokenMinutes * 60,
    refresh_expires_in: refresh.expiresIn,
    refresh_token: refresh.token,
    token_type: binding.jkt ? 'DPoP' : 'Bearer',
    ...(openid
      ? {
          id_token: await idToken(state, client, user, session, {
            ...(part.nonce ? { nonce: part.nonce } : {}),
            accessToken: access,
          }),
        }
      : {}),
    'not-before-policy': 0,
    session_state: session.sid,
    scope: rights.scope,
  };
}

/** Whether an access token that this realm signed is good now: its time, its revocation, its login and its user. */
export function isActive(state: ProviderState, payload: JWTPayload): boolean {
  const { exp = 0, iat = 0, jti = '', sub = '', sid, azp } = payload as JWTPayload & { sid?: string; azp?: string };
  if (exp <= state.nowSeconds() || state.sessions.isRevoked(jti) || iat < state.sessions.notBefore(sub)) return false;
  if (sid === undefined) return true;
  return (['online', 'offline'] as const).some(
    (kind) => state.sessions.find(kind, sid)?.clients[azp ?? ''] !== undefined,
  );
}
