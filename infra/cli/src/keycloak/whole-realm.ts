import { type KeycloakAdmin, liveRealm } from '@postern/keycloak';
import { CommandFailed, exitCodes } from '../outcome.ts';

type Client = { id: string; clientId: string; secret?: string };
type Group = { id: string; path: string; subGroups?: Group[] };
type Realm = Record<string, unknown> & {
  clients: Client[];
  roles?: { realm?: { name: string }[]; client?: Record<string, { name: string }[]> };
  groups?: Group[];
  identityProviders?: unknown[];
  /** Of a partial export: the accounts of clients, with their roles. */
  users?: unknown[];
};
type User = Record<string, unknown> & {
  id: string;
  realmRoles?: string[];
  clientRoles?: Record<string, string[]>;
  groups?: string[];
};

const PAGE = 500;

/**
 * A realm with its clients' secrets, and its users with roles, groups and identities at other providers, in the form that Keycloak
 * imports. Nobody is given the users' credentials. @throws CommandFailed (1) where the server has no such realm
 */
export async function wholeRealm(admin: KeycloakAdmin, name: string): Promise<Record<string, unknown>> {
  const realm = (await liveRealm(admin, name)) as Realm | undefined;
  if (!realm) throw new CommandFailed(exitCodes.refused, `the server has no realm ${name}`);
  const at = `/${encodeURIComponent(name)}`;
  const clients = [];
  for (const client of realm.clients) clients.push(await withSecret(admin, at, client));
  return { ...realm, clients, users: [...(realm.users ?? []), ...(await peopleOf(admin, at, realm))] };
}

async function withSecret(admin: KeycloakAdmin, at: string, client: Client): Promise<Client> {
  if (client.secret === undefined) return client;
  const { value } = await admin.get<{ value?: string }>(`${at}/clients/${client.id}/client-secret`);
  return value ? { ...client, secret: value } : client;
}

async function peopleOf(admin: KeycloakAdmin, at: string, realm: Realm): Promise<User[]> {
  const people = new Map<string, User>();
  for (const user of await allOf<User>(admin, `${at}/users?briefRepresentation=false`)) people.set(user.id, user);
  // By role and group, not by person: there are few of these, and may be very many of those.
  const held = async (path: string, give: (user: User) => void): Promise<void> => {
    for (const { id } of await allOf<User>(admin, `${path}?briefRepresentation=true`)) {
      const user = people.get(id);
      if (user) give(user);
    }
  };
  for (const { name } of realm.roles?.realm ?? [])
    await held(`${at}/roles/${encodeURIComponent(name)}/users`, (user) => (user.realmRoles ??= []).push(name));
  for (const { id, clientId } of realm.clients)
    for (const { name } of realm.roles?.client?.[clientId] ?? [])
      await held(`${at}/clients/${id}/roles/${encodeURIComponent(name)}/users`, (user) =>
        ((user.clientRoles ??= {})[clientId] ??= []).push(name),
      );
  for (const { id, path } of withSubgroups(realm.groups ?? []))
    await held(`${at}/groups/${id}/members`, (user) => (user.groups ??= []).push(path));
  if ((realm.identityProviders ?? []).length > 0)
    for (const user of people.values())
      user['federatedIdentities'] = await admin.get(`${at}/users/${user.id}/federated-identity`);
  return [...people.values()];
}

const withSubgroups = (groups: readonly Group[]): Group[] =>
  groups.flatMap((group) => [group, ...withSubgroups(group.subGroups ?? [])]);

async function allOf<T>(admin: KeycloakAdmin, path: string): Promise<T[]> {
  for (const all: T[] = []; ;) {
    const page = await admin.get<T[]>(`${path}&first=${all.length}&max=${PAGE}`);
    all.push(...page);
    if (page.length < PAGE) return all;
  }
}
