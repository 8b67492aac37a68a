import { type JWTPayload } from 'jose';
import { type KoaContextWithOIDC } from 'oidc-provider';

import { type ProviderState } from '../provider-state.ts';
import { builtInScopesInToken, type RealmClient, type RealmUser } from '../realm.ts';
import { invalidRequest, OAuthRefusal } from '../refusal.ts';
import { assertScopesAssigned, rightsOf, type Rights } from '../scopes.ts';
import { requestBinding, certificateThumbprint } from '../sender-binding.ts';
import { type UserSession } from '../sessions.ts';
import { accessToken, idToken, isActive, refreshToken, serviceAccountOf, type TokenBinding } from '../tokens.ts';

const tokenType = (name: string) => `urn:ietf:params:oauth:token-type:${name}`;

type SubjectPayload = JWTPayload & { azp?: string; sid?: string; cnf?: { 'x5t#S256'?: string; jkt?: string } };
type Params = Record<string, string | string[] | undefined>;

const single = (value: string | string[] | undefined) => (Array.isArray(value) ? value[0] : value);
const many = (value: string | string[] | undefined) =>
  value === undefined ? [] : Array.isArray(value) ? value : [value];

/** The subject token's claims, once everything that Keycloak checks of it holds. */
async function subjectOf(state: ProviderState, client: RealmClient, params: Params, binding: TokenBinding) {
  const subject = single(params['subject_token']);
  if (!subject) throw invalidRequest("Parameter 'subject_token' not provided");
  const type = single(params['subject_token_type']);
  if (!type) throw invalidRequest("Parameter 'subject_token_type' not provided");
  if (type !== tokenType('access_token')) {
    throw invalidRequest("Parameter 'subject_token' supports access tokens only");
  }
  if (state.keys.verifyForSelf(subject)) throw invalidRequest("Parameter 'subject_token' supports access tokens only");
  const verified = await state.keys.verify(subject);
  if (!verified) throw invalidRequest('Invalid token');
  if (verified.typ !== 'at+jwt') throw invalidRequest("Parameter 'subject_token' supports access tokens only");
  const payload = verified.payload as SubjectPayload;
  if (!isActive(state, payload)) throw invalidRequest('Invalid token');
  if (payload.azp !== client.clientId && !many(payload.aud).includes(client.clientId)) {
    throw new OAuthRefusal(403, 'access_denied', 'Client is not within the token audience');
  }
  if (payload.cnf) {
    if (payload.azp !== client.clientId) {
      throw invalidRequest(
        'Sender-constrained token exchange rejected as the token was not issued for the requesting client',
      );
    }
    const held = payload.cnf.jkt ? payload.cnf.jkt === binding.jkt : payload.cnf['x5t#S256'] === binding.thumbprint;
    if (!held) throw invalidRequest("DPoP confirmation doesn't match DPoP proof");
  }
  return payload;
}

/** Keeps only the audiences asked for. Roles and scopes of the others stay, as in Keycloak. */
function narrowAudience(state: ProviderState, rights: Rights, wanted: string[]): Rights {
  for (const audience of wanted) {
    if (!state.client(audience)) throw new OAuthRefusal(400, 'invalid_client', 'Audience not found');
  }
  const unavailable = wanted.filter((audience) => !rights.audiences.includes(audience));
  if (unavailable.length > 0) throw invalidRequest(`Requested audience not available: ${unavailable.join(' ')}`);
  return wanted.length > 0 ? { ...rights, audiences: wanted } : rights;
}

/** A client that needs consent may not exchange its way to a scope that the user never agreed to. */
function assertConsented(state: ProviderState, client: RealmClient, user: RealmUser, scope: string | undefined): void {
  if (!client.requireConsent) return;
  const { scopes } = rightsOf(state.realm, client, user, scope);
  const given = new Set([...builtInScopesInToken, ...state.sessions.consents.of(user.id, client.clientId)]);
  if (scopes.some((name) => !given.has(name))) {
    const description = `Missing consents for Token Exchange in client ${client.clientId}`;
    throw new OAuthRefusal(400, 'invalid_scope', description);
  }
}

/** Keycloak's Standard Token Exchange V2 (RFC 8693): it widens scope, ignores `resource` and `actor_token`. */
export async function tokenExchangeGrant(
  state: ProviderState,
  client: RealmClient,
  ctx: KoaContextWithOIDC,
): Promise<void> {
  const params = ctx.oidc.params as Params;
  if (!client.grants.includes('token-exchange')) {
    throw invalidRequest('Standard token exchange is not enabled for the requested client');
  }
  if (params['requested_subject']) {
    throw invalidRequest("Parameter 'requested_subject' is not supported for standard token exchange");
  }
  const wantedType = single(params['requested_token_type']) ?? tokenType('access_token');
  const refresh = wantedType === tokenType('refresh_token') && client.exchangeForRefreshTokens === true;
  if (![tokenType('access_token'), tokenType('id_token')].includes(wantedType) && !refresh) {
    throw invalidRequest('requested_token_type unsupported');
  }
  const thumbprint = certificateThumbprint(ctx.req);
  const binding = await requestBinding(state, client, ctx.req);
  const subject = await subjectOf(state, client, params, { ...(thumbprint ? { thumbprint } : {}), ...binding });

  const scope = single(params['scope']);
  assertScopesAssigned(client, scope);
  const user = userOf(state, subject);
  const requested = scope?.split(' ') ?? [];
  if (refresh && requested.includes('offline_access')) {
    throw invalidRequest('Scope offline_access not allowed for token exchange');
  }
  assertConsented(state, client, user, scope);
  const rights = narrowAudience(state, rightsOf(state.realm, client, user, scope), many(params['audience']));
  const session = sessionOf(state, client, subject, scope ?? '');
  const access = await accessToken(state, { client, user, rights, binding, ...(session ? { session } : {}) });
  const answer = {
    access_token: access,
    expires_in: state.profile.accessTokenMinutes * 60,
    refresh_expires_in: 0,
    token_type: binding.jkt ? 'DPoP' : 'Bearer',
    'not-before-policy': 0,
    ...(session ? { session_state: session.sid } : {}),
    scope: rights.scope,
    issued_token_type: wantedType,
  };
  if (wantedType === tokenType('id_token')) {
    if (!session) throw invalidRequest('requested_token_type unsupported');
    ctx.body = { ...answer, access_token: await idToken(state, client, user, session, {}), token_type: 'N_A' };
  } else if (refresh && session) {
    const issued = refreshToken(state, client, 'online', session, binding);
    ctx.body = { ...answer, refresh_token: issued.token, refresh_expires_in: issued.expiresIn };
  } else {
    ctx.body = answer;
  }
}

function userOf(state: ProviderState, subject: SubjectPayload): RealmUser {
  const user = state.userById(subject.sub ?? '');
  if (user) return user;
  const client = state.client(subject.azp ?? '');
  if (client && serviceAccountOf(state, client).id === subject.sub) return serviceAccountOf(state, client);
  throw invalidRequest('User not found');
}

/** The subject's own login, in which the requester now has a part: the new token has the same `sid`. */
function sessionOf(
  state: ProviderState,
  client: RealmClient,
  subject: SubjectPayload,
  scope: string,
): UserSession | undefined {
  if (!subject.sid) return undefined;
  for (const kind of ['online', 'offline'] as const) {
    const session = state.sessions.find(kind, subject.sid);
    if (!session?.clients[subject.azp ?? '']) continue;
    const part = session.clients[client.clientId] ?? { scope, retired: [] };
    return state.sessions.attach(kind, session, client.clientId, part);
  }
  return undefined;
}
