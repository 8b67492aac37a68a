import { type PolicyDocument } from '@postern/policy';

import { type ClientModel, type ScopeModel } from '../realm/model.ts';

/** The audience of people's and workloads' tokens, and the owner of their roles. */
export const BROKER = 'token-exchange';

/** What a realm has to serve because of the policy document. */
export type PolicyParts = {
  scopes: ScopeModel[];
  /** Audiences: token-exchange, and targets for which the provider itself mints. */
  clients: ClientModel[];
  /** What the policy gives a client of that id. */
  of(clientId: string): { defaultScopes: string[]; optionalScopes: string[]; roleScope: string[]; exchanges: boolean };
};

const audienceClient = (clientId: string, description: string, roles: string[]): ClientModel => ({
  clientId,
  description,
  bearerOnly: true,
  authentication: { kind: 'secret' },
  grants: [],
  binding: 'none',
  redirectUris: [],
  requirePkce: false,
  requirePar: false,
  requireConsent: false,
  defaultScopes: [],
  optionalScopes: [],
  roles,
  roleScope: [],
});

/**
 * Roles, scopes and exchange permissions of the policy document in a realm's words: a workload's client may obtain the
 * audience token-exchange with its people's roles; scopes of targets that the provider mints for are client scopes,
 * gated by their least role, optional for the workloads that may ask for them.
 */
export function policyParts({ roles, targets, scopes, workloads }: PolicyDocument): PolicyParts {
  const brokerRoles = roles.map(({ name }) => name);
  const minted = targets.filter(({ minter }) => minter === 'provider');
  const served = scopes.filter(({ audience }) => minted.some((target) => target.audience === audience));
  const offered = served.filter(({ decision }) => decision !== 'always_deny');
  return {
    scopes: [
      { name: BROKER, description: 'Tokens that token-exchange may exchange', inToken: false, audience: BROKER },
      ...offered.map(({ name, description, audience, role }) => ({
        name,
        description,
        inToken: true,
        audience,
        ...(role ? { roles: [`${BROKER}/${role}`] } : {}),
      })),
    ],
    clients: [
      audienceClient(BROKER, 'The audience of people and jobs, and the owner of their roles', brokerRoles),
      ...minted.map(({ audience, description }) => audienceClient(audience, description, [])),
    ],
    of: (clientId) => {
      const workload = workloads.find(({ client }) => client === clientId);
      if (!workload) return { defaultScopes: [], optionalScopes: [], roleScope: [], exchanges: false };
      const asked = workload.asks.flatMap(({ scopes: wanted }) => wanted);
      const optionalScopes = offered.filter(({ name }) => asked.includes(name)).map(({ name }) => name);
      return {
        defaultScopes: [BROKER],
        optionalScopes,
        roleScope: brokerRoles.map((role) => `${BROKER}/${role}`),
        exchanges: optionalScopes.length > 0,
      };
    },
  };
}
