import { hash } from 'node:crypto';
import { personName, type Principal } from '@postern/oidc';
import { risks, type PolicyDocument } from '@postern/policy';
import { actorsAfter } from '../exchanges/actor-chain.ts';
import { clientOf } from '../exchanges/client-of.ts';
import type { Asked, Caller } from '../exchanges/plan-exchange.ts';
import type { Subject } from '../exchanges/subject.ts';
import type { Targets } from '../exchanges/targets-of.ts';

/** What an approval is asked for, and good for (R19). */
export type ApprovalRequest = {
  binding: string;
  tenant: string;
  person: { issuer: string; sub: string };
  /** What its realm calls the person, where the subject says so. */
  personName: string | null;
  /** Everyone who would act in the token, the caller first. */
  actors: readonly string[];
  workload: string;
  audiences: Targets;
  scopes: readonly string[];
  policyVersion: string;
  personsNeeded: 1 | 2;
};

/**
 * The request of this exchange, bound to person, grant or session, the whole actor chain, workload, audiences, exact scopes
 * and policy version: another of any of these is another request. `null` where no person is acted for, or nobody approves.
 */
export function approvalRequest(
  policy: PolicyDocument,
  { principal, acting }: Subject,
  { audiences, scopes }: Asked,
  { workload }: Caller,
  emergency = false,
): ApprovalRequest | null {
  const { person, tenant } = principal;
  if (person === null || policy.approvals === undefined) return null;
  const actors = actorsAfter(principal, { workload, client: clientOf(policy, workload) }, acting);
  const wanted = [...new Set(scopes)].toSorted();
  const parts = [
    tenant,
    person.issuer,
    person.sub,
    rootOf(principal),
    actors,
    workload,
    // A request of one audience has the binding that it always had.
    audiences.length > 1 ? audiences.toSorted() : audiences[0],
    wanted,
    policy.version,
    // What is approved in an emergency is good for nothing else, nor the other way round.
    ...(emergency ? ['emergency'] : []),
  ];
  return {
    binding: hash('sha256', JSON.stringify(parts), 'base64url'),
    tenant,
    person,
    personName: personName(principal.claims),
    actors,
    workload,
    audiences,
    scopes: wanted,
    policyVersion: policy.version,
    personsNeeded: personsNeeded(policy, wanted),
  };
}

/** What the request dies with: the grant, else the login's session, else the subject token itself. */
function rootOf({ claims, sessionId, person, issuer, tokenId }: Principal): string[] {
  const grant = claims['grant_id'];
  if (typeof grant === 'string') return ['grant', grant];
  if (sessionId !== undefined) return ['session', person?.issuer ?? issuer, sessionId];
  return ['token', issuer, tokenId];
}

function personsNeeded({ approvals, scopes }: PolicyDocument, wanted: readonly string[]): 1 | 2 {
  const from = approvals?.twoPersonsFrom;
  if (from === undefined) return 1;
  const least = risks.indexOf(from);
  return scopes.some(({ name, risk }) => wanted.includes(name) && risks.indexOf(risk) >= least) ? 2 : 1;
}
