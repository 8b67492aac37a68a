import type { Issuer, MintedClaims } from '@postern/issuer';
import type { Binding, HeldBy, IssuerEntry, Principal } from '@postern/oidc';
import { evaluate, type Decision, type PolicyDocument } from '@postern/policy';
import { actOf, actorsAfter, assertMayAct } from './actor-chain.ts';
import { audiencesOf, ceilingOf } from './ceiling.ts';
import { clientOf } from './client-of.ts';
import { ExchangeRefused } from './refusal.ts';

export type ExchangeToken = {
  policy: PolicyDocument;
  issuers: readonly IssuerEntry[];
  issuer: Issuer;
  now: () => Date;
};

/** The workload that asks, as its certificate or its assertion shows it; the minted token is bound to what it holds. */
export type Caller = { workload: string; binding: Binding };
export type Asked = {
  audience: string;
  scopes: readonly string[];
  /** Those of the scopes that were approved for this request (R19). */
  approved?: readonly string[];
};
export type Subject = { principal: Principal; heldBy: HeldBy };

export type Exchange = {
  token: string;
  tokenId: string;
  expiresAt: Date;
  expiresInSeconds: number;
  scopes: readonly string[];
  actors: readonly string[];
  decision: Decision;
};

/**
 * Mints the token that the caller may have for a verified subject: policy ∩ ceiling, one audience, no longer than the
 * subject, the policy and the profile allow, bound to the caller's certificate or key, with everyone who acts named in it.
 * Nothing is recorded here.
 * @throws ExchangeRefused
 */
export async function exchangeToken(deps: ExchangeToken, subject: Subject, asked: Asked, caller: Caller) {
  const { policy, issuer, now } = deps;
  const { principal } = subject;
  const client = clientOf(policy, caller.workload);
  assertMayAct(principal, { workload: caller.workload, client });
  const actors = actorsAfter(principal, { workload: caller.workload, client });
  const decision = decide(deps, principal, asked, caller);

  const lifetimeSeconds = Math.min(
    decision.longestLifeSeconds,
    Math.floor((principal.expiresAt.getTime() - now().getTime()) / 1000),
  );
  if (lifetimeSeconds < 1) throw new ExchangeRefused('no_life_left');
  const { token, tokenId, expiresAt } = await issuer.mint('at+jwt', claimsOf(principal, asked, client, actors), {
    lifetimeSeconds,
    binding: caller.binding,
  });
  const expiresInSeconds = Math.floor((expiresAt.getTime() - now().getTime()) / 1000);
  return { token, tokenId, expiresAt, expiresInSeconds, scopes: decision.granted, actors, decision } satisfies Exchange;
}

/** @throws ExchangeRefused with the rule that decided */
function decide({ policy, issuers }: ExchangeToken, principal: Principal, asked: Asked, caller: Caller): Decision {
  const entry = issuers.find(({ issuer }) => issuer === principal.issuer);
  if (!entry) throw new TypeError('a verified subject comes from an issuer of the table');
  const ceiling = ceilingOf(principal, entry);
  const decision = evaluate(policy, {
    tenant: principal.tenant,
    person: principal.person,
    roles: principal.roles,
    workload: caller.workload,
    subjectClient: principal.clientId,
    subjectKind: principal.kind,
    audience: asked.audience,
    requestedScopes: asked.scopes,
    ...(ceiling && { ceiling }),
    ...(asked.approved && { approved: new Set(asked.approved) }),
  });
  // Nobody is asked to approve what would be refused all the same.
  const [refused] = decision.refused.toSorted(
    (a, b) => Number(a.rule === 'approval_needed') - Number(b.rule === 'approval_needed'),
  );
  const rule = decision.denied ?? refused?.rule;
  if (rule)
    throw new ExchangeRefused(
      rule,
      decision.refused.map(({ scope }) => scope),
    );
  if (decision.minter !== 'postern') throw new ExchangeRefused('provider_target');
  if (audiencesOf(principal)?.includes(asked.audience) === false) throw new ExchangeRefused('grant_audience');
  return decision;
}

/** R3: tenant, original issuer and sub; what the login was worth goes with it. */
function claimsOf(principal: Principal, { audience, scopes }: Asked, client: string, actors: readonly string[]) {
  const { person, tenant, roles, sessionId, claims } = principal;
  const act = actOf(actors);
  const { acr, auth_time: authTime, grant_id: grant, job } = claims;
  return {
    sub: person?.sub ?? principal.clientId,
    ...(person && { subject_issuer: person.issuer }),
    aud: audience,
    tenant,
    client_id: client,
    scope: [...new Set(scopes)].join(' '),
    ...(roles.size > 0 && { roles: [...roles] }),
    ...(act && { act }),
    ...(sessionId !== undefined && { sid: sessionId }),
    ...(typeof acr === 'string' && { acr }),
    ...(typeof authTime === 'number' && { auth_time: authTime }),
    ...(typeof grant === 'string' && { grant_id: grant }),
    ...(typeof job === 'string' && { job }),
  } satisfies MintedClaims;
}
