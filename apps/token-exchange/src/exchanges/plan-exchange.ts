import type { Issuer } from '@postern/issuer';
import type { Binding, IssuerEntry, Principal } from '@postern/oidc';
import { evaluateTogether, quotasFor, ruleOf, type Decision, type PolicyDocument, type Quotas } from '@postern/policy';
import { actorsAfter, assertMayAct } from './actor-chain.ts';
import { audiencesOf, ceilingOf } from './ceiling.ts';
import { clientOf } from './client-of.ts';
import { ExchangeRefused } from './refusal.ts';
import type { Subject } from './subject.ts';
import type { Targets } from './targets-of.ts';

export type PlanExchange = {
  policy: PolicyDocument;
  issuers: readonly IssuerEntry[];
  issuer: Issuer;
  now: () => Date;
};

/** The workload that asks, as its certificate or its assertion shows it; the minted token is bound to what it holds. */
export type Caller = { workload: string; binding: Binding };
export type Asked = {
  audiences: Targets;
  scopes: readonly string[];
  /** Those of the scopes that were approved for this request (R19). */
  approved?: readonly string[];
};

/** What may be given: decided, and not given yet. */
export type Plan = {
  /** The OAuth client that the caller is. */
  client: string;
  actors: readonly string[];
  decision: Decision;
  lifetimeSeconds: number;
  /** What the tenant may use at the audiences. */
  quotas: Quotas | undefined;
};

/**
 * Decides what the caller may have for a verified subject: policy ∩ ceiling of every audience, no longer than the subject,
 * the actor and the policy allow, with everyone who acts named. What one of several audiences learns must be of no use at
 * another, so such a token is bound to the caller's key.
 * @throws ExchangeRefused
 */
export function planExchange(deps: PlanExchange, subject: Subject, asked: Asked, caller: Caller): Plan {
  const { principal, acting } = subject;
  const { workload, binding } = caller;
  const client = clientOf(deps.policy, workload);
  assertMayAct(principal, { workload, client }, acting);
  const actors = actorsAfter(principal, { workload, client }, acting);
  if (asked.audiences.length > 1 && binding.kind === 'none') throw new ExchangeRefused('several_unbound');
  const decision = decide(deps, subject, asked, workload);
  const ends = Math.min(principal.expiresAt.getTime(), acting?.principal.expiresAt.getTime() ?? Infinity);
  const lifetimeSeconds = Math.min(decision.longestLifeSeconds, Math.floor((ends - deps.now().getTime()) / 1000));
  if (lifetimeSeconds < 1) throw new ExchangeRefused('no_life_left');
  const quotas = quotasFor(deps.policy, principal.tenant, asked.audiences);
  return { client, actors, decision, lifetimeSeconds, quotas };
}

/** @throws ExchangeRefused with the rule that decided */
function decide({ policy, issuers, now }: PlanExchange, subject: Subject, asked: Asked, workload: string): Decision {
  const { principal } = subject;
  const entry = issuers.find(({ issuer }) => issuer === principal.issuer);
  if (!entry) throw new TypeError('a verified subject comes from an issuer of the table');
  const ceiling = ceilingOf(subject, entry, policy, workload);
  const decision = evaluateTogether(policy, {
    tenant: principal.tenant,
    person: principal.person,
    roles: principal.roles,
    workload,
    subjectClient: principal.clientId,
    subjectKind: principal.kind,
    audiences: asked.audiences,
    requestedScopes: asked.scopes,
    login: loginOf(principal, now()),
    ...(ceiling && { ceiling }),
    ...(asked.approved && { approved: new Set(asked.approved) }),
  });
  const refused = ruleOf(decision);
  if (refused) throw new ExchangeRefused(refused.rule, refused.scopes, undefined, decision.loginNeeded);
  const allowed = audiencesOf(subject);
  if (allowed && !asked.audiences.every((one) => allowed.includes(one))) throw new ExchangeRefused('grant_audience');
  return decision;
}

function loginOf({ claims: { acr, auth_time: at } }: Principal, now: Date) {
  return {
    ...(typeof acr === 'string' && { acr }),
    ...(typeof at === 'number' && { ageSeconds: Math.max(0, Math.floor(now.getTime() / 1000) - at) }),
  };
}
