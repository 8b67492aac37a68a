/**
 * What the development world allows, written down a second time and differently: a table of cells by hand, not the policy
 * document, and no code of the service. The random test holds the service to it in both directions.
 */
export type Subject = {
  kind: 'U' | 'W' | 'G' | 'T';
  client: string;
  roles: string[];
  scopes: string[];
  /** Workload whose certificate it is bound to. */
  boundTo: string;
  audience: string;
  actors: string[];
  handleAudiences: string[] | null;
};

export type Wanted = { caller: string; audience: string; scopes: string[] };

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
  { who: 'portal', on: 'U', of: ['portal'], to: 'crypto-store', scopes: records },
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
};

/** Who acts in the token, newest first; null where the exchange must be refused. */
export function allowed(subject: Subject, { caller, audience, scopes }: Wanted): { actors: string[] } | null {
  const brought = subject.boundTo === caller || subject.audience === caller;
  const addressed = subject.kind === 'T' || subject.audience === 'token-exchange';
  if (!brought || !addressed || scopes.length === 0) return null;
  const cell = cells.find(
    ({ who, on, of, to }) =>
      who === caller && on.includes(subject.kind) && of.includes(subject.client) && to === audience,
  );
  if (!cell) return null;
  if (subject.handleAudiences !== null && !subject.handleAudiences.includes(audience)) return null;
  for (const scope of scopes) {
    const role = cell.scopes[scope];
    if (role === undefined) return null;
    if (role !== null && !subject.roles.some((held) => rolesOver[role]?.includes(held))) return null;
    if (subject.kind === 'G' && !subject.scopes.includes(scope)) return null;
    if (subject.kind === 'T' && !reaches(subject.scopes, scope, caller)) return null;
  }
  if (subject.kind === 'W') return { actors: [] };
  const actors = subject.actors[0] === caller ? subject.actors : [caller, ...subject.actors];
  return actors.length > 4 ? null : { actors };
}

/** A minted token reaches what it says, and through key-proxy the records that keep its secrets. */
function reaches(scopes: string[], scope: string, caller: string): boolean {
  if (scopes.includes(scope)) return true;
  if (caller !== 'key-proxy') return false;
  if (scope === 'records:write') return scopes.includes('secrets:write');
  return scope === 'records:read' && (scopes.includes('secrets:read') || scopes.includes('secrets:write'));
}
