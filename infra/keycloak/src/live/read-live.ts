import { type KeycloakAdmin } from './admin.ts';
import { nameOf, objectsOf, type RealmObject } from './objects.ts';

type Client = Record<string, unknown> & { id: string; clientId: string };
type Mappings = {
  realmMappings?: { name: string }[];
  clientMappings?: Record<string, { client: string; mappings: { name: string }[] }>;
};
type Holding = { client: string; roles: string[] };

export type LiveRealm = {
  attributes: Record<string, string>;
  objects: ReadonlyMap<string, RealmObject>;
};

/** Requests at once: a server of a few cores answers them beside each other. */
const AT_ONCE = 4;
/** Clients an answer. Keycloak's own export of all of them takes a time that grows with the square of their number; pages do not. */
const PAGE = 50;

/**
 * A realm as it is, undefined where there is none: everything but users, groups and secrets. Roles and mappings of a client are asked
 * for only where `concerning` is told to want them by the name of the client: most have none, and what is nobody's is not compared.
 */
export async function readLive(
  admin: KeycloakAdmin,
  realm: string,
  concerning: (attributes: Record<string, string>) => readonly string[],
): Promise<LiveRealm | undefined> {
  const at = `/${encodeURIComponent(realm)}`;
  const settings = await admin.find<{ attributes?: Record<string, string> }>(at);
  if (!settings) return undefined;
  const attributes = settings.attributes ?? {};
  const [exported, clients] = await Promise.all([
    admin.ask<Record<string, unknown>>(`${at}/partial-export?exportClients=false&exportGroupsAndRoles=true`),
    clientsOf(admin, at),
  ]);
  const asked = concerning(attributes).flatMap((clientId) => clients.get(clientId) ?? []);
  const own = await rolesOf(admin, at, asked);
  const whole = {
    ...exported,
    clients: [...clients.values()],
    roles: { ...(exported['roles'] as object | undefined), client: own.roles },
    scopeMappings: [...((exported['scopeMappings'] ?? []) as object[]), ...own.realmMappings],
    clientScopeMappings: joined(exported['clientScopeMappings'] as Record<string, object[]> | undefined, own.mappings),
  };
  return { attributes, objects: new Map(objectsOf(whole).map((one) => [nameOf(one), one])) };
}

/** All clients by their ids. A page may be short where a client is hidden from this administrator: only an empty one is the end. */
async function clientsOf(admin: KeycloakAdmin, at: string): Promise<Map<string, Client>> {
  const found = new Map<string, Client>();
  let next = 0;
  let ended = false;
  const reader = async () => {
    while (!ended) {
      const first = next;
      next += PAGE;
      const page = await admin.get<Client[]>(`${at}/clients?first=${first}&max=${PAGE}`);
      if (page.length === 0) ended = true;
      // A plan holds no secret.
      for (const { secret: _secret, access: _access, ...client } of page) found.set(client.clientId, client as Client);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, reader));
  return found;
}

/** What the clients define and hold, in the words of an export. */
async function rolesOf(admin: KeycloakAdmin, at: string, clients: readonly Client[]) {
  const roles: Record<string, unknown[]> = {};
  const realmMappings: Holding[] = [];
  const mappings: Record<string, Holding[]> = {};
  const names = (list: readonly { name: string }[]) => list.map(({ name }) => name);
  await besides(clients, async ({ id, clientId }) => {
    const [defined, held] = await Promise.all([
      admin.get<unknown[]>(`${at}/clients/${id}/roles?briefRepresentation=false`),
      admin.get<Mappings>(`${at}/clients/${id}/scope-mappings`),
    ]);
    roles[clientId] = defined;
    if (held.realmMappings?.length) realmMappings.push({ client: clientId, roles: names(held.realmMappings) });
    for (const { client: owner, mappings: of } of Object.values(held.clientMappings ?? {}))
      (mappings[owner] ??= []).push({ client: clientId, roles: names(of) });
  });
  return { roles, realmMappings, mappings };
}

function joined(a: Record<string, object[]> = {}, b: Record<string, object[]>): Record<string, object[]> {
  return Object.fromEntries(
    [...new Set([...Object.keys(a), ...Object.keys(b)])].map((owner) => [
      owner,
      [...(a[owner] ?? []), ...(b[owner] ?? [])],
    ]),
  );
}

/** Does the work of every item, so many beside each other; the first failure ends it. */
export async function besides<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = items.values();
  const worker = async () => {
    for (const item of left) await work(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
