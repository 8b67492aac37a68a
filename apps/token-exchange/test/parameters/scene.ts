import { policyDocument } from '@postern/policy';
import { ACCESS_TOKEN, openWorld, policy, type Caller, type Reply, type World } from '../token-exchange.ts';

// A person at the portal, under a policy with what the development policy does not use: one world for all parameters.

export const ID_TOKEN = 'urn:ietf:params:oauth:token-type:id_token';
export const JWT = 'urn:ietf:params:oauth:token-type:jwt';

export let world: World;
export let portal: Caller;
export let job: Caller;
export let keyProxy: Caller;

/** The development policy, with what it does not use: addresses, ID tokens, and scopes that want a stronger login. */
const document = policyDocument.parse({
  ...policy,
  targets: policy.targets.map((target) =>
    target.audience === 'auth-manager' ? { ...target, resources: ['https://grants.example.internal/'] } : target,
  ),
  scopes: policy.scopes.map((scope) => {
    if (scope.name === 'secrets:read') return { ...scope, acr: ['mfa', 'hwk'], maxAgeSeconds: 300 };
    return scope.name === 'secrets:write' ? { ...scope, acr: ['hwk'], maxAgeSeconds: 60 } : scope;
  }),
  workloads: policy.workloads.map((one) =>
    one.name === 'portal'
      ? {
          ...one,
          asks: one.asks.map((ask) => ({
            ...ask,
            subjects: [...ask.subjects, { kind: 'id-token', clients: ['portal'], person: 'required' }],
          })),
        }
      : one,
  ),
});

export async function open(): Promise<void> {
  world = await openWorld({ idTokens: true, document });
  [portal, job, keyProxy] = await Promise.all([world.caller('portal'), world.caller('job'), world.caller('key-proxy')]);
}

export const alice = (over: object = {}) =>
  world.realm.mint({
    audience: 'token-exchange',
    clientId: 'portal',
    roles: ['user'],
    boundTo: portal.thumbprint,
    ...over,
  });
export const outcome = ({ status, body }: Reply) => `${status} ${String(body['error'] ?? 'minted')}`;

/** A form with names that may stand several times. */
export function form(fields: Record<string, string | string[]>): string {
  const sent = new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange' });
  for (const [name, value] of Object.entries(fields)) for (const one of [value].flat()) sent.append(name, one);
  return sent.toString();
}
export const asking = async (fields: Record<string, string | string[]>) =>
  portal.post(form({ subject_token: await alice(), subject_token_type: ACCESS_TOKEN, ...fields }));
