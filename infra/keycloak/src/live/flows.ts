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
