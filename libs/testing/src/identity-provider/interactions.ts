import { timingSafeEqual } from 'node:crypto';
import { type IncomingMessage, type ServerResponse } from 'node:http';

import type Provider from 'oidc-provider';

import { fromFrontChannel } from './front-channel-scope.ts';
import { consentPage, errorPage, loginPage, sendPage } from './pages.ts';
import { type ProviderState } from './provider-state.ts';
import { type RealmUser } from './realm.ts';

/** Where the forms live, under the realm's address. */
export const interactionPath = '/login-actions/authenticate';

const same = (given: string, wanted: string) => {
  const [a, b] = [Buffer.from(given), Buffer.from(wanted)];
  return a.length === b.length && timingSafeEqual(a, b);
};

/** Counts failures and locks an account as the profile says (AC-7); a locked one looks like a wrong password. */
function openLockout(state: ProviderState) {
  const failures = new Map<string, { count: number; lockedUntil: number }>();
  return (user: RealmUser | undefined, password: string): boolean => {
    if (!user) return false;
    const past = failures.get(user.id) ?? { count: 0, lockedUntil: 0 };
    if (past.lockedUntil > state.nowSeconds()) return false;
    if (same(password, user.password)) return !failures.delete(user.id) || true;
    past.count += 1;
    if (past.count >= state.profile.lockoutAttempts) {
      failures.set(user.id, { count: 0, lockedUntil: state.nowSeconds() + state.profile.lockoutMinutes * 60 });
    } else {
      failures.set(user.id, past);
    }
    return false;
  };
}

/** Whether a user still has to be asked before this client gets this scope. */
export function needsConsent(state: ProviderState, clientId: string, sub: string, scope: string): boolean {
  if (!state.client(clientId)?.requireConsent) return false;
  const given = state.sessions.consents.of(sub, clientId);
  return scope.split(' ').some((name) => !given.includes(name));
}

/** A grant in oidc-provider's sense: all that was asked for, since Keycloak has no partial consent. */
export async function grantAll(
  provider: Provider,
  clientId: string,
  accountId: string,
  scope: string,
): Promise<string> {
  const grant = new provider.Grant({ clientId, accountId });
  grant.addOIDCScope(scope);
  return grant.save();
}

/** Serves the login and the consent form, and takes their answers. */
export function openInteractions(provider: Provider, state: ProviderState) {
  const mayLogIn = openLockout(state);
  const title = state.realm.displayName;

  return async (
    request: IncomingMessage,
    response: ServerResponse,
    form: URLSearchParams | undefined,
  ): Promise<void> => {
    const details = await provider.interactionDetails(request, response).catch(() => undefined);
    if (!details)
      return sendPage(response, 400, errorPage(title, 'The page has expired: start again at the application'));
    const action = `${state.issuer}${interactionPath}?execution=${details.uid}`;

    if (details.prompt.name === 'login') {
      if (!form) return sendPage(response, 200, loginPage(title, action));
      const username = form.get('username') ?? '';
      const user = state.userByName(username);
      if (!mayLogIn(user, form.get('password') ?? '') || !user) {
        return sendPage(
          response,
          200,
          loginPage(title, action, { username, message: 'Invalid username or password.' }),
        );
      }
      return provider.interactionFinished(request, response, { login: { accountId: user.id, remember: false } });
    }

    const clientId = String(details.params['client_id']);
    const scope = String(details.params['scope'] ?? '');
    const sub = details.session?.accountId ?? '';
    const asked = state.client(clientId)?.requireConsent === true;
    if (asked && !form) {
      const client = state.client(clientId);
      const scopes = [...new Set(['profile', 'email', ...fromFrontChannel(scope).split(' ')])]
        .filter((name) => name !== 'openid')
        .map((name) => describe(state, name));
      return sendPage(response, 200, consentPage(title, action, client?.clientId ?? clientId, scopes));
    }
    if (asked && form?.get('accept') === null) {
      return provider.interactionFinished(request, response, {
        error: 'access_denied',
        error_description: 'User denied consent',
      });
    }
    const given = state.sessions.consents.of(sub, clientId);
    state.sessions.consents.add(sub, clientId, [...new Set([...given, ...fromFrontChannel(scope).split(' ')])]);
    const grantId = await grantAll(provider, clientId, sub, scope);
    return provider.interactionFinished(request, response, { consent: { grantId } }, { mergeWithLastSubmission: true });
  };
}

const describe = (state: ProviderState, scope: string) =>
  scope === 'offline_access'
    ? 'Offline access'
    : (state.realm.scopes.find(({ name }) => name === scope)?.description ?? scope);
