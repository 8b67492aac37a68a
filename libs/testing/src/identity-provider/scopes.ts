import { OAuthRefusal } from './refusal.ts';
import { builtInScopesInToken, type Realm, type RealmClient, type RealmUser } from './realm.ts';

/** What one token says about rights, worked out from the realm as Keycloak's scope mappers do. */
export type Rights = {
  /** Client scopes in force, also those that are not named in the token. */
  scopes: string[];
  /** The `scope` claim. */
  scope: string;
  audiences: string[];
  realmRoles: string[];
  clientRoles: Record<string, string[]>;
};

const words = (scope: string | undefined) => (scope ?? '').split(' ').filter(Boolean);

/**
 * Scopes asked for that this client may not have.
 * @throws OAuthRefusal naming all of the request, as Keycloak does; `invalid_request` where it is pushed
 */
export function assertScopesAssigned(
  client: RealmClient,
  requested: string | undefined,
  error: 'invalid_scope' | 'invalid_request' = 'invalid_scope',
): void {
  const known = new Set(['openid', 'email', 'profile', ...client.defaultScopes, ...client.optionalScopes]);
  if (words(requested).some((scope) => !known.has(scope))) {
    throw new OAuthRefusal(400, error, `Invalid scopes: ${requested}`);
  }
}

/**
 * The rights of a user (or of a client's service account, without roles) in a token of that client. A scope that needs
 * a role the user lacks is left out silently, as in Keycloak.
 */
export function rightsOf(
  realm: Realm,
  client: RealmClient,
  user: Pick<RealmUser, 'roles'>,
  requested: string | undefined,
): Rights {
  const asked = new Set(words(requested));
  const candidates = [...client.defaultScopes, ...client.optionalScopes.filter((scope) => asked.has(scope))];
  const definitions = new Map(realm.scopes.map((scope) => [scope.name, scope]));
  const granted = candidates.filter((name) => {
    const needed = definitions.get(name)?.roles;
    return !needed || needed.some((role) => user.roles.includes(role));
  });

  const inScope = new Set([...client.roleScope, ...granted.flatMap((name) => definitions.get(name)?.roles ?? [])]);
  const realmRoles: string[] = [];
  const clientRoles: Record<string, string[]> = {};
  for (const role of user.roles.filter((name) => inScope.has(name))) {
    const [owner, own] = role.split('/');
    if (own === undefined) realmRoles.push(role);
    else (clientRoles[owner ?? ''] ??= []).push(own);
  }

  const audiences = new Set(granted.flatMap((name) => definitions.get(name)?.audience ?? []));
  for (const owner of Object.keys(clientRoles)) if (owner !== client.clientId) audiences.add(owner);

  const named = granted.filter((name) => name === 'offline_access' || definitions.get(name)?.inToken);
  const scope = [...(asked.has('openid') ? ['openid'] : []), ...builtInScopesInToken, ...named].join(' ');
  return { scopes: [...builtInScopesInToken, ...granted], scope, audiences: [...audiences], realmRoles, clientRoles };
}
