import { createHash } from 'node:crypto';

import { stableJson } from '../realm/stable-json.ts';
import { type RealmRepresentation } from '../realm/representations.ts';

/** Kinds of objects in the order in which they are made: what is referred to comes first. */
export const kinds = [
  'realm',
  'realm-role',
  'client-scope',
  'client',
  'client-role',
  'scope-mapping',
  'component',
  'identity-provider',
  'flow',
  'required-action',
  'client-profile',
  'client-policy',
] as const;
export type Kind = (typeof kinds)[number];

/** One thing of a realm that may be made, changed or removed by itself. */
export type RealmObject = { kind: Kind; name: string; value: Record<string, unknown>; id?: string };

type Named = Record<string, unknown> & { id?: string };
type Loose = Partial<Record<string, unknown>>;

/** Keys of the realm that are objects of their own, or are made only with the realm. */
const apart = new Set([
  'authenticationFlows',
  'authenticatorConfig',
  'clientPolicies',
  'clientProfiles',
  'clientScopeMappings',
  'clientScopes',
  'clients',
  'components',
  'identityProviders',
  'requiredActions',
  'roles',
  'scopeMappings',
  'users',
  'groups',
]);

/** Keys that have a meaning inside one server only. */
const own = new Set(['id', 'containerId', 'flowId', 'autheticatorFlow', 'internalId']);

const list = (value: unknown): Named[] => (Array.isArray(value) ? (value as Named[]) : []);
const table = (value: unknown): Record<string, unknown> => (value ?? {}) as Record<string, unknown>;
const without = ({ id: _id, ...rest }: Named) => rest;

/** A realm representation, compiled or exported, as its objects. */
export function objectsOf(realm: RealmRepresentation | Loose): RealmObject[] {
  const loose = realm as Loose;
  const made = (kind: Kind, name: string, value: Named): RealmObject => ({
    kind,
    name,
    value: without(value),
    ...(typeof value.id === 'string' ? { id: value.id } : {}),
  });
  const named = (kind: Kind, values: unknown, key: string) =>
    list(values).map((value) => made(kind, String(value[key]), value));
  const settings = Object.fromEntries(Object.entries(loose).filter(([key]) => !apart.has(key) && !own.has(key)));
  const roles = table(loose['roles']);
  const configurations = new Map(list(loose['authenticatorConfig']).map((one) => [one['alias'], one['config']]));
  return [
    made('realm', String(loose['realm']), settings),
    ...named('realm-role', roles['realm'], 'name'),
    ...named('client-scope', loose['clientScopes'], 'name'),
    ...named('client', loose['clients'], 'clientId'),
    ...Object.entries(table(roles['client'])).flatMap(([client, own]) =>
      list(own).map((role) => made('client-role', `${client}/${String(role['name'])}`, role)),
    ),
    ...mappings(loose),
    ...Object.entries(table(loose['components'])).flatMap(([type, of]) =>
      list(of).map((one) =>
        made('component', `${type}/${String(one['name'])}${one['subType'] ? `/${String(one['subType'])}` : ''}`, one),
      ),
    ),
    ...named('identity-provider', loose['identityProviders'], 'alias'),
    ...list(loose['authenticationFlows']).map((flow) =>
      made('flow', String(flow['alias']), {
        ...flow,
        // The setting of a step is part of the flow: two servers give it different ids.
        authenticationExecutions: list(flow['authenticationExecutions'])
          .sort((a, b) => Number(a['priority']) - Number(b['priority']))
          .map(({ authenticatorConfig, priority: _priority, ...step }) => ({
            ...step,
            ...(authenticatorConfig
              ? { config: configurations.get(authenticatorConfig), configAlias: authenticatorConfig }
              : {}),
          })),
      }),
    ),
    ...named('required-action', loose['requiredActions'], 'alias'),
    ...named('client-profile', table(loose['clientProfiles'])['profiles'], 'name'),
    ...named('client-policy', table(loose['clientPolicies'])['policies'], 'name'),
  ];
}

/** Which roles may stand in the tokens of a scope or client: one object for each holder and owner of roles. */
function mappings(realm: Loose): RealmObject[] {
  const of = (owner: string, entries: unknown) =>
    list(entries).map((one): RealmObject => {
      const holder = one['clientScope'] ? `scope:${String(one['clientScope'])}` : `client:${String(one['client'])}`;
      return { kind: 'scope-mapping', name: `${holder}<-${owner}`, value: { roles: one['roles'] } };
    });
  return [
    ...of('', realm['scopeMappings']),
    ...Object.entries(table(realm['clientScopeMappings'])).flatMap(([owner, entries]) => of(owner, entries)),
  ];
}

/** What an object was when it was applied, in sixteen characters. */
export const digestOf = ({ value }: RealmObject): string =>
  createHash('sha256').update(stableJson(value)).digest('base64url').slice(0, 16);
export const nameOf = ({ kind, name }: RealmObject): string => `${kind} ${name}`;
