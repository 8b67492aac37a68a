import { type KeycloakAdmin } from './admin.ts';
import { type RealmObject } from './objects.ts';
import { ownedAttribute, type Plan, type Step } from './plan.ts';

/** Makes or changes one object: what is wanted, laid over what is live. */
export async function make(
  admin: KeycloakAdmin,
  at: string,
  step: Step,
  { name, value }: RealmObject,
  plan: Plan,
): Promise<void> {
  const live = plan.live.get(`${step.kind} ${name}`);
  const create = step.action === 'create';
  switch (step.kind) {
    case 'realm': {
      const attributes = {
        ...((live?.value['attributes'] ?? {}) as object),
        ...((value['attributes'] ?? {}) as object),
      };
      return admin.put(at, { ...value, attributes });
    }
    case 'realm-role':
      return create
        ? void (await admin.post(`${at}/roles`, value))
        : admin.put(`${at}/roles/${encodeURIComponent(name)}`, { ...live?.value, ...value });
    case 'client-scope':
      return create
        ? void (await admin.post(`${at}/client-scopes`, value))
        : scope(admin, at, value, live as RealmObject);
    case 'client':
      return create ? void (await admin.post(`${at}/clients`, value)) : client(admin, at, value, live as RealmObject);
    case 'client-role': {
      const [owner = '', role = ''] = name.split('/');
      const id = await clientId(admin, at, owner);
      return create
        ? void (await admin.post(`${at}/clients/${id}/roles`, value))
        : admin.put(`${at}/clients/${id}/roles/${encodeURIComponent(role)}`, { ...live?.value, ...value });
    }
    case 'scope-mapping':
      return mapping(admin, at, name, value['roles'] as string[], (live?.value['roles'] ?? []) as string[]);
    case 'component':
      return component(admin, at, name.split('/')[0] ?? '', value, live);
    case 'identity-provider':
      return create
        ? void (await admin.post(`${at}/identity-provider/instances`, value))
        : admin.put(`${at}/identity-provider/instances/${encodeURIComponent(name)}`, { ...live?.value, ...value });
    case 'required-action':
      if (create)
        await admin.post(`${at}/authentication/register-required-action`, {
          providerId: value['providerId'],
          name: value['name'],
        });
      return admin.put(`${at}/authentication/required-actions/${encodeURIComponent(name)}`, {
        ...live?.value,
        ...value,
      });
    case 'client-profile':
      return listed(admin, `${at}/client-policies/profiles`, 'profiles', name, value);
    case 'client-policy':
      return listed(admin, `${at}/client-policies/policies`, 'policies', name, value);
    case 'flow':
      return;
  }
}

type Child = { id: string; name: string; config?: Record<string, unknown> };

/** A component, and those below it: the server may have made some of them itself. */
async function component(
  admin: KeycloakAdmin,
  at: string,
  providerType: string,
  { subComponents, ...own }: Record<string, unknown>,
  live: RealmObject | undefined,
): Promise<void> {
  const { subComponents: _held, ...before } = live?.value ?? {};
  const body = { ...before, ...own, providerType };
  const id = live?.id ?? (await admin.post(`${at}/components`, body));
  if (live) await admin.put(`${at}/components/${id}`, { ...body, id });
  for (const [type, wanted] of Object.entries((subComponents ?? {}) as Record<string, Record<string, unknown>[]>)) {
    const held = await admin.get<Child[]>(`${at}/components?parent=${id}&type=${type}`);
    for (const { subComponents: _none, ...child } of wanted) {
      const known = held.find(({ name }) => name === child['name']);
      const config = { ...known?.config, ...(child['config'] as object) };
      const below = { ...known, ...child, config, providerType: type, parentId: id };
      if (known) await admin.put(`${at}/components/${known.id}`, below);
      else await admin.post(`${at}/components`, below);
    }
  }
}

/** Profiles and policies come as one list: ours takes its place in it, the others stay (they are erased by an import). */
async function listed(
  admin: KeycloakAdmin,
  path: string,
  key: string,
  name: string,
  value: Record<string, unknown> | undefined,
): Promise<void> {
  const held = await admin.get<Record<string, { name: string }[]>>(path);
  const others = (held[key] ?? []).filter((one) => one.name !== name);
  await admin.put(path, { [key]: [...others, ...(value ? [value] : [])] });
}

async function scope(
  admin: KeycloakAdmin,
  at: string,
  value: Record<string, unknown>,
  live: RealmObject,
): Promise<void> {
  const path = `${at}/client-scopes/${live.id}`;
  const { protocolMappers: wanted, ...rest } = value;
  await admin.put(path, { ...rest, id: live.id });
  const mappers = (live.value['protocolMappers'] ?? []) as { id: string; name: string }[];
  for (const mapper of (wanted ?? []) as { name: string }[]) {
    const held = mappers.find(({ name }) => name === mapper.name);
    if (!held) await admin.post(`${path}/protocol-mappers/models`, mapper);
    else await admin.put(`${path}/protocol-mappers/models/${held.id}`, { ...held, ...mapper, id: held.id });
  }
  for (const { id, name } of mappers)
    if (!((wanted ?? []) as { name: string }[]).some((one) => one.name === name))
      await admin.delete(`${path}/protocol-mappers/models/${id}`);
}

/** An attribute that is no longer wanted is sent empty: Keycloak leaves alone what is not sent. */
async function client(
  admin: KeycloakAdmin,
  at: string,
  value: Record<string, unknown>,
  live: RealmObject,
): Promise<void> {
  const path = `${at}/clients/${live.id}`;
  const { defaultClientScopes: defaults, optionalClientScopes: optionals, ...rest } = value;
  const held = (live.value['attributes'] ?? {}) as Record<string, string>;
  const wanted = (value['attributes'] ?? {}) as Record<string, string>;
  const gone = Object.fromEntries(
    Object.keys(held)
      .filter((name) => !(name in wanted) && ownedAttribute.test(name))
      .map((name) => [name, '']),
  );
  const { protocolMappers: mappers, ...before } = live.value;
  await admin.put(path, { ...before, ...rest, attributes: { ...held, ...gone, ...wanted } });
  // What the tokens of a client say is said by its scopes alone.
  for (const { id } of (mappers ?? []) as { id: string }[]) await admin.delete(`${path}/protocol-mappers/models/${id}`);
  const ids = await scopeIds(admin, at);
  for (const [kind, names] of [
    ['default', defaults],
    ['optional', optionals],
  ] as const) {
    const had = (live.value[`${kind}ClientScopes`] ?? []) as string[];
    const has = (names ?? []) as string[];
    for (const name of had.filter((one) => !has.includes(one)))
      await admin.delete(`${path}/${kind}-client-scopes/${ids.get(name)}`);
    for (const name of has.filter((one) => !had.includes(one)))
      await admin.put(`${path}/${kind}-client-scopes/${ids.get(name)}`, {});
  }
}

async function mapping(
  admin: KeycloakAdmin,
  at: string,
  name: string,
  wanted: readonly string[],
  live: readonly string[],
): Promise<void> {
  const [holder = '', owner = ''] = name.split('<-');
  const [kind = '', ...rest] = holder.split(':');
  const held = rest.join(':');
  const ownerId = owner && (await clientId(admin, at, owner));
  const path =
    kind === 'scope'
      ? `${at}/client-scopes/${(await scopeIds(admin, at)).get(held)}/scope-mappings/`
      : `${at}/clients/${await clientId(admin, at, held)}/scope-mappings/`;
  const rolesAt = owner ? `${at}/clients/${ownerId}/roles` : `${at}/roles`;
  const all = await admin.get<{ id: string; name: string }[]>(rolesAt);
  const target = `${path}${owner ? `clients/${ownerId}` : 'realm'}`;
  const named = (names: readonly string[]) => all.filter((role) => names.includes(role.name));
  const [more, less] = [wanted.filter((one) => !live.includes(one)), live.filter((one) => !wanted.includes(one))];
  if (more.length > 0) await admin.post(target, named(more));
  if (less.length > 0) await admin.delete(target, named(less));
}

export async function remove(admin: KeycloakAdmin, at: string, { kind, name, id, value }: RealmObject): Promise<void> {
  switch (kind) {
    case 'client':
      return admin.delete(`${at}/clients/${id}`);
    case 'client-scope':
      return admin.delete(`${at}/client-scopes/${id}`);
    case 'realm-role':
      return admin.delete(`${at}/roles/${encodeURIComponent(name)}`);
    case 'client-role': {
      const [owner = '', role = ''] = name.split('/');
      const client = await clientId(admin, at, owner);
      return client ? admin.delete(`${at}/clients/${client}/roles/${encodeURIComponent(role)}`) : undefined;
    }
    case 'scope-mapping':
      return mapping(admin, at, name, [], value['roles'] as string[]);
    case 'component':
      return admin.delete(`${at}/components/${id}`);
    case 'identity-provider':
      return admin.delete(`${at}/identity-provider/instances/${encodeURIComponent(name)}`);
    case 'client-profile':
      return listed(admin, `${at}/client-policies/profiles`, 'profiles', name, undefined);
    case 'client-policy':
      return listed(admin, `${at}/client-policies/policies`, 'policies', name, undefined);
    case 'realm':
    case 'flow':
    case 'required-action':
      return;
  }
}

/** The id of a client; nothing where there is none. */
async function clientId(admin: KeycloakAdmin, at: string, name: string): Promise<string> {
  const [found] = await admin.get<{ id: string }[]>(`${at}/clients?clientId=${encodeURIComponent(name)}`);
  return found?.id ?? '';
}

async function scopeIds(admin: KeycloakAdmin, at: string): Promise<ReadonlyMap<string, string>> {
  const all = await admin.get<{ id: string; name: string }[]>(`${at}/client-scopes`);
  return new Map(all.map(({ id, name }) => [name, id]));
}
