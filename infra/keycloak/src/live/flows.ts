import { type KeycloakAdmin } from './admin.ts';
import { type RealmObject } from './objects.ts';

type StepOfFlow = {
  authenticator?: string;
  flowAlias?: string;
  requirement: string;
  config?: Record<string, string>;
  configAlias?: string;
};
type Made = { id: string; displayName: string; level: number; providerId?: string; flowId?: string };

const stepsOf = (flow: RealmObject) => (flow.value['authenticationExecutions'] ?? []) as StepOfFlow[];

/**
 * Makes the browser's flow anew. Keycloak changes a flow step by step, so that a half-changed one would serve logins:
 * until ours is whole, the realm denies every login.
 */
export async function replaceFlows(
  admin: KeycloakAdmin,
  realm: string,
  wanted: ReadonlyMap<string, RealmObject>,
  top: string,
): Promise<void> {
  const at = `/${encodeURIComponent(realm)}`;
  const flows = await admin.get<{ id: string; alias: string }[]>(`${at}/authentication/flows`);
  const old = flows.find(({ alias }) => alias === top);
  if (old) {
    await admin.put(at, { browserFlow: 'postern denied' });
    await admin.delete(`${at}/authentication/flows/${old.id}`);
  }
  const { value } = wanted.get(`flow ${top}`) ?? missing(top);
  await admin.post(`${at}/authentication/flows`, {
    alias: top,
    description: value['description'],
    providerId: value['providerId'],
    topLevel: true,
    builtIn: false,
  });
  await fill(admin, at, wanted, top, top);
  await admin.put(at, { browserFlow: top });
}

/** The flow of this name and all below it. */
export function flowsBelow(wanted: ReadonlyMap<string, RealmObject>, top: string): string[] {
  const inner = stepsOf(wanted.get(`flow ${top}`) ?? missing(top)).flatMap(({ flowAlias }) => flowAlias ?? []);
  return [top, ...inner.flatMap((alias) => flowsBelow(wanted, alias))];
}

/**
 * Asks again what a flow is to ask, where it has its steps still. A step that somebody took out or added stays so, and the next
 * plan says it: the server's own flows are not ours to make anew.
 */
export async function askAgain(admin: KeycloakAdmin, realm: string, flow: RealmObject): Promise<void> {
  const path = `/${encodeURIComponent(realm)}/authentication/flows/${encodeURIComponent(flow.name)}/executions`;
  const held = (await admin.get<(Made & { requirement: string })[]>(path)).filter(({ level }) => level === 0);
  const steps = stepsOf(flow);
  if (held.length !== steps.length) return;
  for (const [at, { requirement }] of steps.entries())
    if (held[at]?.requirement !== requirement) await admin.put(path, { ...held[at], requirement });
}

async function fill(
  admin: KeycloakAdmin,
  at: string,
  wanted: ReadonlyMap<string, RealmObject>,
  top: string,
  alias: string,
): Promise<void> {
  const flow = `${at}/authentication/flows/${encodeURIComponent(alias)}`;
  for (const step of stepsOf(wanted.get(`flow ${alias}`) ?? missing(alias))) {
    const inner =
      step.flowAlias === undefined ? undefined : (wanted.get(`flow ${step.flowAlias}`) ?? missing(step.flowAlias));
    if (inner) {
      const { description, providerId } = inner.value;
      await admin.post(`${flow}/executions/flow`, {
        alias: inner.name,
        description,
        type: providerId,
        provider: 'registration-page-form',
      });
    } else await admin.post(`${flow}/executions/execution`, { provider: step.authenticator });
    const made =
      (await admin.get<Made[]>(`${flow}/executions`)).filter(({ level }) => level === 0).at(-1) ?? missing(alias);
    await admin.put(`${flow}/executions`, { ...made, requirement: step.requirement });
    if (step.config)
      await admin.post(`${at}/authentication/executions/${made.id}/config`, {
        alias: step.configAlias,
        config: step.config,
      });
    if (inner) await fill(admin, at, wanted, top, inner.name);
  }
}

function missing(alias: string): never {
  throw new RangeError(`no flow ${alias}`);
}
