import { type IncomingMessage, type ServerResponse } from 'node:http';

import { type JWTPayload } from 'jose';
import { type KoaContextWithOIDC } from 'oidc-provider';

import { errorPage, logoutPage, messagePage, sendPage } from '../pages.ts';
import { type ProviderState } from '../provider-state.ts';
import { type RealmClient } from '../realm.ts';
import { invalidGrant, invalidRequest } from '../refusal.ts';
import { assertHolder } from '../sender-binding.ts';

type Claims = JWTPayload & { azp?: string; sid?: string; typ?: string; cnf?: Record<string, string> };

/** Ends a login everywhere: the browser's session, every client's tokens but offline ones, with back-channel calls. */
export async function endLogin(state: ProviderState, sid: string): Promise<void> {
  const session = state.sessions.end('online', sid);
  await state.forgetBrowser(sid);
  if (session) await state.announceLogout(session);
}

/**
 * Keycloak's logout by refresh token: 204. One by an offline token also ends the browser's login that it came from, of
 * which only its own client is told.
 */
export async function logoutByRefreshToken(
  state: ProviderState,
  client: RealmClient,
  ctx: KoaContextWithOIDC,
): Promise<void> {
  const token = (ctx.oidc.params as Record<string, string | undefined>)['refresh_token'];
  if (!token) throw invalidRequest('No refresh token');
  const claims = state.keys.verifyForSelf(token) as Claims | undefined;
  if (!claims?.sid || claims.azp !== client.clientId) throw invalidGrant('Invalid refresh token');
  assertHolder(state, client, ctx.req, claims);
  if (claims.typ === 'Offline') {
    const session = state.sessions.find('offline', claims.sid);
    state.sessions.detach('offline', claims.sid, client.clientId);
    state.sessions.end('online', claims.sid);
    await state.forgetBrowser(claims.sid);
    if (session) await state.announceLogout(session, [client.clientId]);
  } else {
    await endLogin(state, claims.sid);
  }
  ctx.status = 204;
}

/** OpenID Connect RP-Initiated Logout 1.0: with an ID token at once, without one after a click. */
export async function logoutByBrowser(
  state: ProviderState,
  request: IncomingMessage,
  response: ServerResponse,
  params: URLSearchParams,
  browserSid: () => Promise<string | undefined>,
): Promise<void> {
  const hint = params.get('id_token_hint');
  const hinted = hint ? await state.keys.verify(hint) : undefined;
  if (hint && (hinted?.payload as Claims | undefined)?.typ !== 'ID') {
    return sendPage(response, 400, errorPage(state.realm.displayName, 'Invalid parameter: id_token_hint'));
  }
  const claims = hinted?.payload as Claims | undefined;
  const client = state.client(claims?.azp ?? params.get('client_id') ?? '');
  const target = params.get('post_logout_redirect_uri');
  if (target && !client?.postLogoutRedirectUris?.includes(target)) {
    return sendPage(response, 400, errorPage(state.realm.displayName, 'Invalid redirect uri'));
  }
  if (!claims && request.method !== 'POST') {
    return sendPage(response, 200, logoutPage(state.realm.displayName, Object.fromEntries(params)));
  }
  const sid = claims?.sid ?? (await browserSid());
  if (sid) await endLogin(state, sid);
  if (!target) return sendPage(response, 200, messagePage(state.realm.displayName, 'You are logged out'));
  const location = new URL(target);
  const given = params.get('state');
  if (given) location.searchParams.set('state', given);
  response.writeHead(302, { Location: location.href, 'Cache-Control': 'no-store' }).end();
}
