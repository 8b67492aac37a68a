/**
 * What the world of the random exchanges allows, written down a second time and differently: a table of cells by hand, not the
 * policy document, and no code of the service. The random test holds the service to it in both directions.
 */
export type Subject = {
  /** A person's and a client's token of the realm, an ID token, a grant, a token that was minted before. */
  kind: 'U' | 'W' | 'I' | 'G' | 'T';
  client: string;
  roles: string[];
  scopes: string[];
  /** Workload whose certificate it is bound to. */
  boundTo: string;
  audiences: string[];
  actors: string[];
  handleAudiences: string[] | null;
  /** What the login was worth, and how long ago it was. */
  login: { acr: string; secondsAgo: number } | null;
  /** Who may act for it, where it says so. */
  mayAct: string | null;
};

export type Wanted = {
  caller: string;
  audiences: string[];
  /** How the targets are named; by their scopes alone there is one. */
  named: 'audience' | 'resource' | 'scopes';
  scopes: string[];
  /** Whose own token comes as `actor_token`. */
  actor: string | null;
  /** Whether the subject's type is said as it is. */
  typed: boolean;
  requested: 'access_token' | 'jwt' | 'id_token' | null;
};

type Cell = { who: string; on: string; of: string[]; to: string; scopes: Record<string, string | null> };

const records = { 'records:read': null, 'records:write': null };
const secrets = { 'secrets:read': null, 'secrets:write': null };

// `scopes` says which role a scope needs.
const cells: Cell[] = [
  {
    who: 'portal',
    on: 'U',
    of: ['portal'],
    to: 'auth-manager',
    scopes: { 'grants:read': 'user', 'grants:write': 'user' },
  },
  { who: 'portal', on: 'UI', of: ['portal'], to: 'crypto-store', scopes: records },
  {
    who: 'portal',
    on: 'U',
    of: ['portal'],
    to: 'key-proxy',
    scopes: { ...secrets, 'secrets:configure': 'admin', 'secrets:audit': 'admin' },
  },
  {
    who: 'portal',
    on: 'U',
    of: ['portal'],
    to: 'audit-sink',
    scopes: { 'audit:read': 'auditor', 'webhooks:configure': 'admin' },
  },
  { who: 'job', on: 'W', of: ['job'], to: 'auth-manager', scopes: { 'grants:use': null } },
  { who: 'job', on: 'GT', of: ['job'], to: 'crypto-store', scopes: records },
  { who: 'job', on: 'GT', of: ['job'], to: 'key-proxy', scopes: secrets },
  { who: 'key-proxy', on: 'T', of: ['job', 'portal', 'key-proxy'], to: 'crypto-store', scopes: records },
];

const rolesOver: Record<string, string[]> = {
  user: ['user', 'auditor', 'admin'],
  auditor: ['auditor'],
  admin: ['admin'],
};

/** The login that a scope wants: one of these classes, not older than that. */
export const LOGINS: Record<string, { acr: string[]; seconds: number }> = {
  'secrets:write': { acr: ['mfa', 'hwk'], seconds: 3_600 },
};

export const lifeSeconds: Record<string, number> = {
  'grants:read': 600,
  'grants:write': 600,
  'grants:use': 600,
  'records:read': 600,
  'records:write': 300,
  'secrets:read': 300,
  'secrets:write': 300,
  'secrets:configure': 300,
  'secrets:audit': 300,
  'audit:read': 300,
  'webhooks:configure': 300,
  // Of a target that the identity provider mints for: nothing comes of it here, where subjects are bound.
  'files:read': 600,
};

const homes: Record<string, string> = {
  grants: 'auth-manager',
  records: 'crypto-store',
  secrets: 'key-proxy',
  audit: 'audit-sink',
  webhooks: 'audit-sink',
  files: 'files',
};
const homeOf = (scope: string): string => homes[scope.split(':')[0] ?? ''] ?? '';

export type Allowed = {
  audiences: string[];
  /** Who acts in the token, newest first. */
  actors: string[];
};

/** What must come of it; null where the exchange must be refused. */
export function allowed(subject: Subject, wanted: Wanted): Allowed | null {
  const { caller, scopes, actor, typed, requested } = wanted;
  if (!typed || requested === 'id_token' || scopes.length === 0) return null;
  if (!mayBring(subject, caller) || !mayActFor(subject, caller, actor)) return null;
  const audiences = wanted.named === 'scopes' ? [...new Set(scopes.map(homeOf))] : [...new Set(wanted.audiences)];
  if (wanted.named === 'scopes' && audiences.length > 1) return null;
  if (subject.handleAudiences && audiences.some((one) => !subject.handleAudiences?.includes(one))) return null;
  // Each is asked for something, and nothing is asked of another.
  if (audiences.some((one) => scopes.every((scope) => homeOf(scope) !== one))) return null;
  if (scopes.some((scope) => !audiences.includes(homeOf(scope)))) return null;
  if (scopes.some((scope) => !given(subject, scope, caller))) return null;
  const actors = actorsOf(subject, caller, actor);
  return actors.length > 4 ? null : { audiences, actors };
}

function mayBring({ kind, client, boundTo, audiences }: Subject, caller: string): boolean {
  // An ID token comes from the client that it names, and from nobody else.
  if (kind === 'I') return client === caller && audiences.includes(caller);
  const brought = boundTo === caller || audiences.includes(caller);
  return brought && (kind === 'T' || audiences.includes('token-exchange'));
}

/** Another party than the caller acts only where the subject names it, and for its own tenant, which is not key-proxy's. */
function mayActFor({ kind, mayAct }: Subject, caller: string, actor: string | null): boolean {
  const party = actor ?? caller;
  if (mayAct !== null) return mayAct === party && (party === caller || kind !== 'T');
  return party === caller;
}

function given(subject: Subject, scope: string, caller: string): boolean {
  const cell = cells.find(
    ({ who, on, of, to }) =>
      who === caller && on.includes(subject.kind) && of.includes(subject.client) && to === homeOf(scope),
  );
  const role = cell?.scopes[scope];
  if (role === undefined) return false;
  // An ID token carries no roles.
  const held = subject.kind === 'I' ? [] : subject.roles;
  if (role !== null && !held.some((one) => rolesOver[role]?.includes(one))) return false;
  if (subject.kind === 'G' && !subject.scopes.includes(scope)) return false;
  if (subject.kind === 'T' && !reaches(subject, scope, caller)) return false;
  const wants = LOGINS[scope];
  if (wants === undefined) return true;
  const { login } = subject;
  return login !== null && wants.acr.includes(login.acr) && login.secondsAgo <= wants.seconds;
}

/** A minted token reaches what it says, and through key-proxy the records that keep its secrets. */
function reaches({ audiences, scopes }: Subject, scope: string, caller: string): boolean {
  // To one of several whom it names, it says only what is that one's own.
  const shared = audiences.length > 1 && audiences.includes(caller);
  const says = shared ? scopes.filter((one) => homeOf(one) === caller) : scopes;
  if (says.includes(scope)) return true;
  if (caller !== 'key-proxy') return false;
  if (scope === 'records:write') return says.includes('secrets:write');
  return scope === 'records:read' && (says.includes('secrets:read') || says.includes('secrets:write'));
}

function actorsOf({ kind, client, actors }: Subject, caller: string, actor: string | null): string[] {
  // A workload about itself acts for nobody.
  if (kind === 'W' && client === caller && actor === null) return [];
  const chain = [...actors];
  for (const party of actor === null ? [caller] : [actor, caller]) if (chain[0] !== party) chain.unshift(party);
  return chain;
}
