import type { PolicyDocument } from './document.ts';
import type { SubjectKind } from './document-shape.ts';

/** One request for a token, as the policy sees it. */
export type Request = {
  tenant: string;
  /** `null` where a workload asks for itself. */
  person: { issuer: string; sub: string } | null;
  roles: ReadonlySet<string>;
  workload: string;
  /** The client that the subject token was issued to (`azp`). */
  subjectClient: string;
  subjectKind: SubjectKind;
  audience: string;
  requestedScopes: readonly string[];
  /** What the subject and its issuer allow at most; absent: only the policy decides. */
  ceiling?: ReadonlySet<string>;
  /** The login of the person, as the subject tells it: its class (`acr`), and how long ago it was. */
  login?: { acr?: string | undefined; ageSeconds?: number | undefined };
  /** Scopes that the approvers which the policy names have approved for exactly this request. */
  approved?: ReadonlySet<string>;
};

/** The rule that decided; stable, for the audit event. */
export type Rule =
  | 'tenant_unknown'
  | 'tenant_suspended'
  | 'person_of_another_issuer'
  | 'workload_unknown'
  | 'workload_compromised'
  | 'target_unknown'
  | 'several_at_provider'
  | 'no_ask'
  | 'no_scope_asked'
  | 'scope_unknown'
  | 'scope_not_asked_for'
  | 'above_ceiling'
  | 'role_missing'
  | 'login_too_weak'
  | 'login_too_old'
  | 'approval_needed'
  | 'always_denied';

export type Refusal = { scope: string; rule: Rule };

export type Decision = {
  policyVersion: string;
  /** Everything that was asked for, or nothing: no scope is dropped silently. */
  granted: readonly string[];
  refused: readonly Refusal[];
  /** Set where the whole request is refused whatever its scopes are. */
  denied?: Rule;
  /** Where the permission stands: `workloads.job.asks.1`, one for each audience; for a refusal, its rule. */
  decidedBy: string;
  /** Where a stronger or newer login would do: what all refused scopes accept (RFC 9470). */
  loginNeeded?: { acrValues: readonly string[]; maxAgeSeconds?: number };
  /** The longest life of a token with the granted scopes, in seconds; 0 where nothing is granted. */
  longestLifeSeconds: number;
  minter: 'postern' | 'provider' | null;
};

type Workload = PolicyDocument['workloads'][number];
type Ask = Workload['asks'][number];

/**
 * Decides a request. Pure: the same document and request give the same decision. Default deny: a scope is granted only
 * if the tenant is active, an ask of the workload covers audience, subject and scope, the scope's role and decision
 * allow it, and it is under the ceiling. For a minted subject (`postern-access`) a missing ceiling grants nothing.
 */
export function evaluate(policy: PolicyDocument, request: Request): Decision {
  const found = permissionOf(policy, request);
  if ('denied' in found) return refusal(policy, found.denied);
  if (request.requestedScopes.length === 0) return refusal(policy, 'no_scope_asked');

  const scopes = [...new Set(request.requestedScopes)];
  const refused = scopes.flatMap((scope) => {
    const rule = refusalOf(policy, request, found.asks, scope);
    return rule ? [{ scope, rule }] : [];
  });
  const [first] = refused;
  if (first) return { ...nothing(policy, first.rule), refused, ...loginFor(policy, refused) };
  const lives = policy.scopes.filter(({ name }) => scopes.includes(name)).map((scope) => scope.longestLifeSeconds);
  return {
    policyVersion: policy.version,
    granted: scopes,
    refused: [],
    decidedBy: found.place,
    longestLifeSeconds: Math.min(found.target.longestLifeSeconds, ...lives),
    minter: found.target.minter,
  };
}

/** Nobody is sent to log in again for what would be refused all the same. */
export function loginFor({ scopes }: PolicyDocument, refused: readonly Refusal[]): Pick<Decision, 'loginNeeded'> {
  const curable = new Set<Rule>(['login_too_weak', 'login_too_old', 'approval_needed']);
  const wanting = scopes.filter(({ name }) =>
    refused.some(({ scope, rule }) => scope === name && rule !== 'approval_needed'),
  );
  if (wanting.length === 0 || refused.some(({ rule }) => !curable.has(rule))) return {};
  const lists = wanting.flatMap(({ acr }) => (acr ? [acr] : []));
  const ages = wanting.flatMap(({ maxAgeSeconds }) => (maxAgeSeconds === undefined ? [] : [maxAgeSeconds]));
  const acrValues = (lists[0] ?? []).filter((value) => lists.every((list) => list.includes(value)));
  return { loginNeeded: { acrValues, ...(ages.length > 0 && { maxAgeSeconds: Math.min(...ages) }) } };
}

export function nothing({ version }: PolicyDocument, rule: Rule): Decision {
  return { policyVersion: version, granted: [], refused: [], decidedBy: rule, longestLifeSeconds: 0, minter: null };
}

const refusal = (policy: PolicyDocument, rule: Rule): Decision => ({ ...nothing(policy, rule), denied: rule });

type Permission = { asks: readonly Ask[]; place: string; target: PolicyDocument['targets'][number] };

function permissionOf(policy: PolicyDocument, request: Request): Permission | { denied: Rule } {
  const state = tenantState(policy, request.tenant);
  if (state !== 'active') return { denied: state === undefined ? 'tenant_unknown' : 'tenant_suspended' };
  if (isForeign(policy, request)) return { denied: 'person_of_another_issuer' };
  const workload = policy.workloads.find(({ name }) => name === request.workload);
  if (!workload) return { denied: 'workload_unknown' };
  if (workload.state === 'compromised') return { denied: 'workload_compromised' };
  const target = policy.targets.find(({ audience }) => audience === request.audience);
  if (!target) return { denied: 'target_unknown' };
  const asks = workload.asks.filter((ask) => covers(ask, request));
  const [first] = asks;
  if (!first) return { denied: 'no_ask' };
  const deciding = asks.find(({ scopes }) => request.requestedScopes.every((scope) => scopes.includes(scope))) ?? first;
  return { asks, place: `workloads.${workload.name}.asks.${workload.asks.indexOf(deciding)}`, target };
}

/** A tenant that names its realm has no people of another one. */
function isForeign({ tenants }: PolicyDocument, { tenant, person }: Request): boolean {
  const named = tenants.find((one) => 'id' in one && one.id === tenant);
  const issuer = named && 'issuer' in named ? named.issuer : undefined;
  return issuer !== undefined && person !== null && person.issuer !== issuer;
}

/** The named tenant's state, else its namespace's. */
function tenantState({ tenants }: PolicyDocument, id: string): 'active' | 'suspended' | undefined {
  const named = tenants.find((one) => 'id' in one && one.id === id);
  return (named ?? tenants.find((one) => 'prefix' in one && id.startsWith(one.prefix)))?.state;
}

function covers(ask: Ask, { audience, subjectKind, subjectClient, person }: Request): boolean {
  return (
    ask.audience === audience &&
    ask.subjects.some(
      (subject) =>
        subject.kind === subjectKind &&
        subject.clients.includes(subjectClient) &&
        subject.person === (person ? 'required' : 'none'),
    )
  );
}

function refusalOf(policy: PolicyDocument, request: Request, asks: readonly Ask[], name: string): Rule | null {
  const scope = policy.scopes.find((one) => one.name === name);
  if (!scope || scope.audience !== request.audience) return 'scope_unknown';
  const asking = asks.filter((ask) => ask.scopes.includes(name));
  if (asking.length === 0) return 'scope_not_asked_for';
  if (scope.decision === 'always_deny') return 'always_denied';
  if (!underCeiling(request, asking, name)) return 'above_ceiling';
  if (scope.role !== undefined && !hasRole(policy, request.roles, scope.role)) return 'role_missing';
  const { acr, ageSeconds } = request.login ?? {};
  if (scope.acr && (acr === undefined || !scope.acr.includes(acr))) return 'login_too_weak';
  if (scope.maxAgeSeconds !== undefined && (ageSeconds ?? Infinity) > scope.maxAgeSeconds) return 'login_too_old';
  return scope.decision === 'admin_required' && request.approved?.has(name) !== true ? 'approval_needed' : null;
}

function underCeiling({ ceiling, subjectKind }: Request, asking: readonly Ask[], scope: string): boolean {
  if (subjectKind !== 'postern-access') return ceiling === undefined || ceiling.has(scope);
  if (ceiling === undefined) return false;
  return ceiling.has(scope) || asking.some((ask) => ask.derivedFrom[scope]?.some((origin) => ceiling.has(origin)));
}

/** Whether `held`, with all that those roles include, holds `wanted`. */
export function hasRole({ roles }: Pick<PolicyDocument, 'roles'>, held: ReadonlySet<string>, wanted: string): boolean {
  const reached = new Set<string>();
  const reach = (name: string) => {
    const role = roles.find((one) => one.name === name);
    if (!role || reached.has(name)) return;
    reached.add(name);
    role.includes.forEach(reach);
  };
  held.forEach(reach);
  return reached.has(wanted);
}
