import { type RealmRepresentation } from '../realm/representations.ts';
import { differences, type Difference } from './compare.ts';
import { type KeycloakAdmin } from './admin.ts';
import { appliedOf, appliedText, APPLIED_ATTRIBUTE } from './applied.ts';
import { digestOf, kinds, nameOf, objectsOf, type Kind, type RealmObject } from './objects.ts';
import { readLive } from './read-live.ts';

/** One step of a plan. */
export type Step = {
  action: 'create' | 'update' | 'delete';
  kind: Kind;
  name: string;
  /** `document`: what is wanted has changed. `drift`: what is live has, while the document says the same as before. */
  because: 'document' | 'drift';
  differences: readonly Difference[];
};

export type Plan = {
  realm: string;
  /** The realm is not there at all: it is made in one piece. */
  absent: boolean;
  steps: readonly Step[];
  wanted: RealmRepresentation;
  live: ReadonlyMap<string, RealmObject>;
};

/** The clients whose own roles, or whose mappings of roles, are among the objects of these names. */
const clientsWithRoles = (names: readonly string[]): string[] =>
  [
    ...new Set(
      names.flatMap((name) => /^(?:client-role ([^/]+)\/|scope-mapping client:(.*)<-)/.exec(name)?.slice(1) ?? []),
    ),
  ].filter((name) => name !== undefined);

/** A realm as it is: its export without users, by the running server; undefined where there is none. */
export async function liveRealm(admin: KeycloakAdmin, realm: string): Promise<Record<string, unknown> | undefined> {
  const at = `/${encodeURIComponent(realm)}`;
  const [settings] = [await admin.find<{ realm: string }>(at)];
  return settings && admin.ask(`${at}/partial-export?exportClients=true&exportGroupsAndRoles=true`);
}

/** Client attributes are ours one by one: what we no longer set, we take away. */
export const ownedAttribute =
  /^(pkce\.|backchannel\.|post\.logout|x509\.|jwks\.|use\.jwks|postern\.|id\.token\.encrypted|token\.endpoint|allow\.token)/;

function stepFor(wanted: RealmObject, live: RealmObject | undefined, applied: string | undefined): Step | undefined {
  const { kind, name } = wanted;
  const because = applied === digestOf(wanted) ? 'drift' : 'document';
  if (!live) return { action: 'create', kind, name, because, differences: [] };
  const found = [...differences(wanted.value, live.value), ...leftBehind(wanted, live)];
  return found.length > 0 ? { action: 'update', kind, name, because, differences: found } : undefined;
}

/** What stands in an object of ours and is not wanted: others may not add to what we vouch for. */
function leftBehind(wanted: RealmObject, live: RealmObject): Difference[] {
  switch (wanted.kind) {
    case 'client': {
      const [ours, theirs] = [wanted, live].map(({ value }) => (value['attributes'] ?? {}) as Record<string, string>);
      const attributes = Object.entries(theirs ?? {})
        .filter(
          ([name, value]) => ownedAttribute.test(name) && !(name in (ours ?? {})) && !['', 'false'].includes(value),
        )
        .map(([name]) => ({ path: `attributes.${name}`, wanted: undefined, live: '(set)' }));
      return [...attributes, ...added('protocolMappers', 'name', wanted, live)];
    }
    case 'client-scope':
      return added('protocolMappers', 'name', wanted, live);
    case 'client-profile':
      return added('executors', 'executor', wanted, live);
    case 'client-policy':
      return added('conditions', 'condition', wanted, live);
    default:
      return [];
  }
}

/** Members of a list of named things that the live object has and the wanted one has not. */
function added(list: string, key: string, wanted: RealmObject, live: RealmObject): Difference[] {
  const [ours, theirs] = [wanted, live].map(({ value }) => (value[list] ?? []) as Record<string, string>[]);
  return (theirs ?? [])
    .filter((one) => !ours?.some((other) => other[key] === one[key]))
    .map((one) => ({ path: `${list}[${one[key]}]`, wanted: undefined, live: '(set)' }));
}

/**
 * Compares three states: what was applied last, what the document wants, and what is live. Only what is wanted is made or
 * changed, and only what was applied before is ever removed: everything else in the realm belongs to somebody else.
 */
export async function planRealm(admin: KeycloakAdmin, wanted: RealmRepresentation): Promise<Plan> {
  const wantedObjects = objectsOf(wanted);
  const found = await readLive(admin, wanted.realm, (attributes) =>
    clientsWithRoles([...wantedObjects.map(nameOf), ...appliedOf(attributes).keys()]),
  );
  if (!found) {
    const steps = [
      {
        action: 'create' as const,
        kind: 'realm' as const,
        name: wanted.realm,
        because: 'document' as const,
        differences: [],
      },
    ];
    return { realm: wanted.realm, absent: true, steps, wanted, live: new Map() };
  }
  const { objects: live, attributes } = found;
  const applied = appliedOf(attributes);
  const steps = wantedObjects.flatMap((one) => stepFor(one, live.get(nameOf(one)), applied.get(nameOf(one))) ?? []);
  const names = new Set(wantedObjects.map(nameOf));
  for (const name of applied.keys()) {
    const object = live.get(name);
    if (!object || names.has(name)) continue;
    steps.push({ action: 'delete', kind: object.kind, name: object.name, because: 'document', differences: [] });
  }
  const remembered = attributes[APPLIED_ATTRIBUTE];
  if (steps.length === 0 && remembered !== appliedText(wantedObjects)) {
    steps.push({
      action: 'update',
      kind: 'realm',
      name: wanted.realm,
      because: 'document',
      differences: [
        {
          path: `attributes.${APPLIED_ATTRIBUTE}`,
          wanted: '(what is applied)',
          live: remembered === undefined ? undefined : '(older)',
        },
      ],
    });
  }
  const order = (step: Step) => (step.action === 'delete' ? 100 - kinds.indexOf(step.kind) : kinds.indexOf(step.kind));
  return {
    realm: wanted.realm,
    absent: false,
    steps: steps.sort((a, b) => order(a) - order(b) || (a.name < b.name ? -1 : 1)),
    wanted,
    live,
  };
}
