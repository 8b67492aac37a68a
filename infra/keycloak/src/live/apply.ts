import { type KeycloakAdmin } from './admin.ts';
import { type RealmRepresentation } from '../realm/representations.ts';
import { SECRET_ATTRIBUTE } from '../realm/client-representation.ts';
import { appliedText, APPLIED_ATTRIBUTE } from './applied.ts';
import { askAgain, flowsBelow, replaceFlows } from './flows.ts';
import { make, remove } from './make.ts';
import { nameOf, objectsOf, type RealmObject } from './objects.ts';
import { planRealm, type Plan, type Step } from './plan.ts';
import { besides } from './read-live.ts';

export type ApplyOptions = {
  /** The secret behind a reference; only asked where a client is made or its reference has changed. */
  secretOf?(reference: string): Promise<string>;
  /** Told before each step. */
  progress?(step: Step, at: number, of: number): void;
};

/** The flow that people log in by. */
const LOGIN = 'postern browser';

/** Keycloak's import takes a time that grows with the square, and is cut off after 300 s: more clients than these come after it. */
const TOGETHER = 100;

/**
 * Carries a plan out, in the order of its steps. A crash leaves steps undone and the record of the last apply as it was:
 * the next plan finds them again. A client is never there without the secret that its reference names: both are one request.
 */
export async function applyPlan(admin: KeycloakAdmin, plan: Plan, options: ApplyOptions = {}): Promise<void> {
  if (plan.steps.length === 0) return;
  if (!plan.absent) return applySteps(admin, plan, options);
  options.progress?.(plan.steps[0] as Step, 1, 1);
  if (plan.wanted.clients.length > TOGETHER) {
    await admin.post('', withoutClients(plan.wanted));
    admin.renew();
    return applySteps(admin, await planRealm(admin, plan.wanted), options);
  }
  const attributes = {
    ...(plan.wanted['attributes'] as object),
    [APPLIED_ATTRIBUTE]: appliedText(objectsOf(plan.wanted)),
  };
  const clients: unknown[] = [];
  for (const client of plan.wanted.clients) clients.push(await withSecret(client, options));
  await admin.post('', { ...plan.wanted, clients, attributes });
  admin.renew();
}

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
  const login = new Set(flowsBelow(byName, LOGIN));
  const ofLogin = ({ kind, action, name }: Step) => kind === 'flow' && (action === 'delete' || login.has(name));
  const firstOfLogin = plan.steps.find((step) => ofLogin(step) && step.action !== 'delete');
  let number = 0;
  const carryOut = async (step: Step): Promise<void> => {
    number += 1;
    const { action, kind, name } = step;
    // The first of the login's flows stands for all: they are one tree.
    if (ofLogin(step) && step !== firstOfLogin) return;
    options.progress?.(step, number, plan.steps.length);
    if (step === firstOfLogin) return replaceFlows(admin, plan.realm, byName, LOGIN);
    if (kind === 'flow') return askAgain(admin, plan.realm, byName.get(`flow ${name}`) as RealmObject);
    if (action === 'delete') return remove(admin, at, plan.live.get(`${kind} ${name}`) as RealmObject);
    const object = byName.get(`${kind} ${name}`) as RealmObject;
    const value = kind === 'client' && referenceChanged(step) ? await withSecret(object.value, options) : object.value;
    return make(admin, at, step, { ...object, value }, plan);
  };
  // Clients do not know of each other: they are the many, and go beside each other.
  const isClient = ({ kind, action }: Step) => kind === 'client' && action !== 'delete';
  const [first, last] = [plan.steps.findIndex(isClient), plan.steps.findLastIndex(isClient)];
  for (const step of plan.steps.slice(0, Math.max(first, 0))) await carryOut(step);
  if (first >= 0) await besides(plan.steps.slice(first, last + 1), carryOut);
  for (const step of plan.steps.slice(last + 1)) await carryOut(step);
  await remember(admin, at, wanted);
}

const referenceChanged = ({ action, differences }: Step) =>
  action === 'create' || differences.some(({ path }) => path === `attributes.${SECRET_ATTRIBUTE}`);

async function remember(admin: KeycloakAdmin, at: string, wanted: readonly RealmObject[]): Promise<void> {
  const { attributes } = await admin.get<{ attributes: Record<string, string> }>(at);
  await admin.put(at, { attributes: { ...attributes, [APPLIED_ATTRIBUTE]: appliedText(wanted) } });
}

/** Keycloak's own attribute: when a secret was made, in seconds. It sets it for its own secrets only. */
const MADE_ATTRIBUTE = 'client.secret.creation.time';

/** A client as the server is sent it: with the secret behind its reference, and its age. */
async function withSecret(
  client: Record<string, unknown>,
  { secretOf }: ApplyOptions,
): Promise<Record<string, unknown>> {
  const attributes = (client['attributes'] ?? {}) as Record<string, string>;
  const reference = attributes[SECRET_ATTRIBUTE];
  if (!secretOf || !reference) return client;
  const made = String(Math.floor(Date.now() / 1000));
  return { ...client, secret: await secretOf(reference), attributes: { ...attributes, [MADE_ATTRIBUTE]: made } };
}
