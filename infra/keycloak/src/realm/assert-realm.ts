import { builtInScopes } from './built-in-scopes.ts';
import { RealmRefused, type RealmModel } from './model.ts';

/** Clients and roles that Keycloak makes in every realm and that a document may name. */
const keycloaksRoles = ['realm-management/realm-admin', 'realm-management/manage-users', 'realm-management/view-users'];

function assertNames(realm: RealmModel, refuse: (reason: string) => never): void {
  const clients = new Set(realm.clients.map(({ clientId }) => clientId));
  const scopes = new Set([...builtInScopes, ...realm.scopes].map(({ name }) => name));
  const roles = new Set([
    'offline_access',
    ...keycloaksRoles,
    ...realm.realmRoles,
    ...realm.clients.flatMap(({ clientId, roles: own = [] }) => own.map((role) => `${clientId}/${role}`)),
  ]);
  for (const { clientId, defaultScopes, optionalScopes, roleScope } of realm.clients) {
    const scope = [...defaultScopes, ...optionalScopes].find((one) => !scopes.has(one));
    if (scope) refuse(`client ${clientId} names the unknown scope ${scope}`);
    const role = roleScope.find((one) => !roles.has(one));
    if (role) refuse(`client ${clientId} names the unknown role ${role}`);
  }
  for (const { name, audience, roles: gates = [] } of realm.scopes) {
    if (audience && !clients.has(audience)) refuse(`scope ${name} names the unknown client ${audience}`);
    const role = gates.find((one) => !roles.has(one));
    if (role) refuse(`scope ${name} names the unknown role ${role}`);
  }
  for (const { username, roles: own } of realm.users) {
    const role = own.find((one) => !roles.has(one));
    if (role) refuse(`user ${username} has the unknown role ${role}`);
  }
  const administrator = realm.rules.secondFactor.administrators.find((one) => !roles.has(one));
  if (administrator) refuse(`the second factor of administrators names the unknown role ${administrator}`);
  if (clients.size < realm.clients.length) refuse('a client id stands twice');
}

/**
 * What no realm of ours may hold.
 * @throws RealmRefused for a certificate-bound client that may have offline tokens: its grants would die with the
 * certificate (R9); for rotation of refresh tokens under FAPI 2.0 (R20); for a name that the realm does not define,
 * which Keycloak would only log.
 */
export function assertRealm(realm: RealmModel): void {
  const refuse = (reason: string): never => {
    throw new RealmRefused(`realm ${realm.name}: ${reason}`);
  };
  if (realm.fapi && realm.rules.rotation !== 'off') refuse('FAPI 2.0 forbids rotation of refresh tokens (R20)');
  for (const client of realm.clients) {
    const own = [...client.defaultScopes, ...client.optionalScopes];
    if (client.binding === 'certificate' && own.includes('offline_access')) {
      refuse(`client ${client.clientId} is certificate-bound and may not have offline_access (R9)`);
    }
    if (client.authentication.kind === 'public' && client.grants.includes('client-credentials')) {
      refuse(`client ${client.clientId} is public and cannot log itself in`);
    }
  }
  assertNames(realm, refuse);
}
