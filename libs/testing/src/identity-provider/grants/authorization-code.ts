import { createHash } from 'node:crypto';

import type Provider from 'oidc-provider';
import { type KoaContextWithOIDC } from 'oidc-provider';

import { fromFrontChannel } from '../front-channel-scope.ts';
import { type ProviderState } from '../provider-state.ts';
import { type RealmClient } from '../realm.ts';
import { invalidGrant, invalidRequest, OAuthRefusal } from '../refusal.ts';
import { requestBinding } from '../sender-binding.ts';
import { type ClientSession, type UserSession } from '../sessions.ts';
import { sessionAnswer } from '../tokens.ts';

/** RFC 6749, 4.1.3 with RFC 7636. A code used twice also ends what it gave, as in Keycloak. */
export async function authorizationCodeGrant(
  provider: Provider,
  state: ProviderState,
  client: RealmClient,
  ctx: KoaContextWithOIDC,
): Promise<void> {
  const params = ctx.oidc.params as Record<string, string | undefined>;
  if (!params['code']) throw invalidRequest('Missing parameter: code');
  const code = await provider.AuthorizationCode.find(params['code'], { ignoreExpiration: true });
  if (!code) throw invalidGrant('Code not valid');
  const sid = code.sessionUid ?? '';
  if ('consumed' in code && code.consumed) {
    state.sessions.detach('online', sid, client.clientId);
    state.sessions.detach('offline', sid, client.clientId);
    throw invalidGrant('Code not valid');
  }
  await code.consume();
  if (code.clientId !== client.clientId) throw invalidGrant('Auth error');
  if (code.isExpired) throw invalidGrant('Code is expired');
  if (code.redirectUri !== params['redirect_uri']) throw invalidGrant('Incorrect redirect_uri');
  if (code.codeChallenge) {
    if (!params['code_verifier']) throw invalidGrant('PKCE code verifier not specified');
    const challenge = createHash('sha256').update(params['code_verifier']).digest('base64url');
    if (challenge !== code.codeChallenge) throw invalidGrant('PKCE verification failed: Code mismatch');
  }
  const binding = await requestBinding(state, client, ctx.req);
  // RFC 9449, 10.1: a login that was pushed with a proof belongs to that key.
  if ('dpopJkt' in code && code.dpopJkt && code.dpopJkt !== binding.jkt) {
    throw invalidRequest('DPoP Proof public key thumbprint does not match dpop_jkt');
  }
  const scope = fromFrontChannel(code.scope ?? '');
  const user = state.userById(code.accountId ?? '');
  if (!user) throw invalidGrant('User not found');
  const offline = scope.split(' ').includes('offline_access');
  if (offline && !user.roles.includes('offline_access')) {
    throw new OAuthRefusal(400, 'not_allowed', 'Offline tokens not allowed for the user or client');
  }
  const kind = offline ? 'offline' : 'online';
  const authTime = code.authTime ?? state.nowSeconds();
  const acr = authTime >= state.nowSeconds() - 30 ? '1' : '0';
  const login = { sid, sub: user.id, authTime, acr };
  const part = { scope, retired: [], ...(code.nonce ? { nonce: code.nonce } : {}) };
  const session = state.sessions.attach(kind, login, client.clientId, part);
  if (offline) await keepOrForgetBrowser(state, login, client.clientId, part);
  ctx.body = await sessionAnswer(state, client, kind, session, binding);
}

/**
 * A browser login that was made only for an offline token does not outlive it; one that other clients use goes on, and
 * its end is told to this client too.
 */
async function keepOrForgetBrowser(
  state: ProviderState,
  login: Omit<UserSession, 'clients' | 'startedAt' | 'usedAt'>,
  clientId: string,
  part: ClientSession,
): Promise<void> {
  if (state.sessions.find('online', login.sid)) state.sessions.attach('online', login, clientId, part);
  else await state.forgetBrowser(login.sid);
}
