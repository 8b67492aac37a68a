import { type KeycloakAdmin } from './admin.ts';
import { type RealmRepresentation } from '../realm/representations.ts';
import { appliedText, APPLIED_ATTRIBUTE } from './applied.ts';
import { replaceFlows } from './flows.ts';
import { nameOf, objectsOf, type RealmObject } from './objects.ts';
import { ownedAttribute, planRealm, type Plan, type Step } from './plan.ts';

type Ids = ReadonlyMap<string, string>;

export type ApplyOptions = {
  /** The secret behind a reference; only asked where a client is made or its reference has changed. */
  secretOf?(reference: string): Promise<string>;
  /** Told before each step. */
  progress?(step: Step, at: number, of: number): void;
};

/**
 * Carries a plan out, in the order of its steps. A crash leaves steps undone and the record of the last apply as it was:
 * the next plan finds them again.
 */
export async function applyPlan(admin: KeycloakAdmin, plan: Plan, options: ApplyOptions = {}): Promise<void> {
  const at = `/${encodeURIComponent(plan.realm)}`;
  if (plan.steps.length === 0) return;
  if (!plan.absent) return applySteps(admin, plan, options);
  options.progress?.(plan.steps[0] as Step, 1, 1);
  const wanted = objectsOf(plan.wanted);
  const clients = wanted.filter(({ kind }) => kind === 'client');
  if (clients.length > TOGETHER) {
    await admin.post('', withoutClients(plan.wanted));
    admin.renew();
    return applySteps(admin, await planRealm(admin, plan.wanted), options);
  }
  const attributes = { ...(plan.wanted['attributes'] as object), [APPLIED_ATTRIBUTE]: appliedText(wanted) };
  await admin.post('', { ...plan.wanted, attributes });
  admin.renew();
  await secrets(admin, at, clients, options);
}

/** Keycloak's import takes a time that grows with the square, and is cut off after 300 s: so many clients go in one. */
const TOGETHER = 100;

/** The realm before its clients, and what names them. */
function withoutClients(wanted: RealmRepresentation): Record<string, unknown> {
  const { clients: _clients, clientScopeMappings: _mappings, ...rest } = wanted as Record<string, unknown>;
  const roles = { ...(rest['roles'] as Record<string, unknown> | undefined) };
  delete roles['client'];
  const mappings = ((rest['scopeMappings'] ?? []) as { client?: string }[]).filter(
    ({ client }) => client === undefined,
  );
  return { ...rest, roles, scopeMappings: mappings };
}

async function applySteps(admin: KeycloakAdmin, plan: Plan, options: ApplyOptions): Promise<void> {
  const wanted = objectsOf(plan.wanted);
  const byName = new Map(wanted.map((one) => [nameOf(one), one]));
  const at = `/${encodeURIComponent(plan.realm)}`;
  const flows = plan.steps.filter(({ kind, action }) => kind === 'flow' && action !== 'delete');
  const created = plan.steps.filter(({ kind, action }) => kind === 'client' && action === 'create');
  const together = created.length > TOGETHER ? new Set(created) : undefined;
  let number = 0;
  for (const step of plan.steps) {
    number += 1;
    if (step.kind === 'flow' && step !== flows[0]) continue;
    if (together?.has(step) && step !== created[0]) continue;
    options.progress?.(step, number, plan.steps.length);
    if (together && step === created[0]) {
      const values = created.map(({ name }) => byName.get(`client ${name}`) as RealmObject);
      await makeClients(admin, at, values);
      await secrets(admin, at, values, options);
      continue;
    }
    if (step.kind === 'flow') await replaceFlows(admin, plan.realm, byName, 'postern browser');
    else if (step.action === 'delete')
      await remove(admin, at, plan.live.get(`${step.kind} ${step.name}`) as RealmObject);
    else await make(admin, at, step, byName.get(`${step.kind} ${step.name}`) as RealmObject, plan);
    if (step.kind === 'client' && referenceChanged(step))
      await secrets(admin, at, [byName.get(`client ${step.name}`) as RealmObject], options);
  }
  await remember(admin, at, wanted);
}

/** Many new clients, so many at a time; one that is there meanwhile is left to the next plan. */
async function makeClients(admin: KeycloakAdmin, at: string, clients: readonly RealmObject[]): Promise<void> {
  for (let first = 0; first < clients.length; first += TOGETHER)
    await admin.ask(`${at}/partialImport`, {
      ifResourceExists: 'SKIP',
      clients: clients.slice(first, first + TOGETHER).map(({ value }) => value),
    });
}

const referenceChanged = ({ action, differences }: Step) =>
  action === 'create' || differences.some(({ path }) => path === 'attributes.postern.secret');

async function remember(admin: KeycloakAdmin, at: string, wanted: readonly RealmObject[]): Promise<void> {
  const { attributes } = await admin.get<{ attributes: Record<string, string> }>(at);
  await admin.put(at, { attributes: { ...attributes, [APPLIED_ATTRIBUTE]: appliedText(wanted) } });
}

async function secrets(
  admin: KeycloakAdmin,
  at: string,
  clients: readonly RealmObject[],
  { secretOf }: ApplyOptions,
): Promise<void> {
  if (!secretOf) return;
  const referring = clients.flatMap(({ name, value }) => {
    const reference = (value['attributes'] as Record<string, string>)['postern.secret'];
    return reference ? [{ name, reference }] : [];
  });
  if (referring.length === 0) return;
  const ids = await idsOf(admin, at, 'clients', 'clientId');
  for (const { name, reference } of referring)
    await admin.put(`${at}/clients/${ids.get(name) ?? ''}`, { clientId: name, secret: await secretOf(reference) });
}

async function idsOf(admin: KeycloakAdmin, at: string, of: string, key: string): Promise<Ids> {
  const all = await admin.get<Record<string, string>[]>(`${at}/${of}`);
  return new Map(all.map((one) => [one[key] ?? '', one['id'] ?? '']));
}

/** Makes or changes one object: what is wanted, laid over what is live. */
async function make(
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
      const id = (await idsOf(admin, at, 'clients', 'clientId')).get(owner) ?? '';
      return create
        ? void (await admin.post(`${at}/clients/${id}/roles`, value))
        : admin.put(`${at}/clients/${id}/roles/${encodeURIComponent(role)}`, { ...live?.value, ...value });
    }
    case 'scope-mapping':
      return mapping(admin, at, name, value['roles'] as string[], (live?.value['roles'] ?? []) as string[]);
    case 'component': {
      const providerType = name.split('/')[0] ?? '';
      const component = { ...live?.value, ...value, providerType };
      return create
        ? void (await admin.post(`${at}/components`, component))
        : admin.put(`${at}/components/${live?.id}`, { ...component, id: live?.id });
    }
    case 'identity-provider':
      return create
        ? void (await admin.post(`${at}/identity-provider/instances`, value))
        : admin.put(`${at}/identity-provider/instances/${name}`, { ...live?.value, ...value });
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
  const { secret: _secret, defaultClientScopes: defaults, optionalClientScopes: optionals, ...rest } = value;
  const held = (live.value['attributes'] ?? {}) as Record<string, string>;
  const wanted = (value['attributes'] ?? {}) as Record<string, string>;
  const gone = Object.fromEntries(
    Object.keys(held)
      .filter((name) => !(name in wanted) && ownedAttribute.test(name))
      .map((name) => [name, '']),
  );
  const { secret: _held, ...before } = live.value;
  await admin.put(path, { ...before, ...rest, attributes: { ...held, ...gone, ...wanted } });
  const ids = await idsOf(admin, at, 'client-scopes', 'name');
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
  const clients = await idsOf(admin, at, 'clients', 'clientId');
  const scopes = kind === 'scope' ? await idsOf(admin, at, 'client-scopes', 'name') : clients;
  const path = `${at}/${kind === 'scope' ? 'client-scopes' : 'clients'}/${scopes.get(rest.join(':'))}/scope-mappings/`;
  const rolesAt = owner ? `${at}/clients/${clients.get(owner)}/roles` : `${at}/roles`;
  const all = await admin.get<{ id: string; name: string }[]>(rolesAt);
  const target = `${path}${owner ? `clients/${clients.get(owner)}` : 'realm'}`;
  const named = (names: readonly string[]) => all.filter((role) => names.includes(role.name));
  const [more, less] = [wanted.filter((one) => !live.includes(one)), live.filter((one) => !wanted.includes(one))];
  if (more.length > 0) await admin.post(target, named(more));
  if (less.length > 0) await admin.delete(target, named(less));
}

async function remove(admin: KeycloakAdmin, at: string, { kind, name, id, value }: RealmObject): Promise<void> {
  switch (kind) {
    case 'client':
      return admin.delete(`${at}/clients/${id}`);
    case 'client-scope':
      return admin.delete(`${at}/client-scopes/${id}`);
    case 'realm-role':
      return admin.delete(`${at}/roles/${encodeURIComponent(name)}`);
    case 'client-role': {
      const [owner = '', role = ''] = name.split('/');
      const client = (await idsOf(admin, at, 'clients', 'clientId')).get(owner);
      return client ? admin.delete(`${at}/clients/${client}/roles/${encodeURIComponent(role)}`) : undefined;
    }
    case 'scope-mapping':
      return mapping(admin, at, name, [], value['roles'] as string[]);
    case 'component':
      return admin.delete(`${at}/components/${id}`);
    case 'identity-provider':
      return admin.delete(`${at}/identity-provider/instances/${name}`);
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
