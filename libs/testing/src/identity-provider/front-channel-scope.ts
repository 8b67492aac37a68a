/**
 * Two things that Keycloak allows and oidc-provider does not go under other names through the front channel:
 * `offline_access` without `prompt=consent`, and a request without `openid`.
 */
export const aliases = { offline: 'keycloak:offline_access', plain: 'keycloak:without_openid' } as const;

/** The parameter that carries the scope as the client wrote it. */
export const originalScope = 'keycloak_scope';

const words = (scope: string) => scope.split(' ').filter(Boolean);

/** Rewrites the parameters of an authorization request, pushed or not. */
export function toFrontChannel(params: URLSearchParams): void {
  if (params.has('request_uri')) return;
  const original = params.get('scope') ?? '';
  const scopes = words(original).map((name) => (name === 'offline_access' ? aliases.offline : name));
  if (!scopes.includes('openid')) {
    scopes.push(aliases.plain);
    params.delete('nonce');
  }
  params.set('scope', scopes.join(' '));
  params.set(originalScope, original);
}

/** The scope as the client wrote it. */
export const fromFrontChannel = (scope: string) =>
  words(scope)
    .filter((name) => name !== aliases.plain)
    .map((name) => (name === aliases.offline ? 'offline_access' : name))
    .join(' ');
