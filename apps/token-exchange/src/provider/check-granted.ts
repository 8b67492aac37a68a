import type { Principal } from '@postern/oidc';
import type { PolicyDocument } from '@postern/policy';
import { ExchangeRefused } from '../exchanges/refusal.ts';
import type { Asked, Plan } from '../exchanges/plan-exchange.ts';

/** Identity scopes (OpenID Connect Core, section 5.4): a provider adds them by default, and they open no target. */
const IDENTITY = new Set(['openid', 'profile', 'email', 'address', 'phone']);
/** A realm counts seconds as its own clock does. */
const SKEW_SECONDS = 5;

/**
 * Holds what the identity provider granted to what was asked of it and to the policy: the same person, one audience, all
 * scopes that were asked and none besides, roles of no other client, no longer than the policy allows, bound as asked.
 * @throws ExchangeRefused `provider_narrower` (a scope was dropped in silence, as Keycloak does), `provider_wider`
 */
export function assertGrantedAsAsked(
  policy: PolicyDocument,
  granted: Principal,
  asked: Asked,
  { decision }: Plan,
  { subject, boundTo }: { subject: Principal; boundTo: string | undefined },
): void {
  const { kind, claims, person, tenant, binding } = granted;
  const scopes = new Set((typeof claims['scope'] === 'string' ? claims['scope'] : '').split(' ').filter(Boolean));
  const missing = asked.scopes.filter((scope) => !scopes.has(scope));
  if (missing.length > 0) throw new ExchangeRefused('provider_narrower', missing);

  const others = [...scopes].filter((scope) => !asked.scopes.includes(scope) && !IDENTITY.has(scope));
  // Policy has refused several.
  const [only] = asked.audiences;
  const audiences = [claims.aud ?? []].flat();
  const roles = Object.keys((claims['resource_access'] ?? {}) as object);
  const life = (claims.exp ?? Infinity) - (claims.iat ?? 0);
  const holds =
    others.length === 0 &&
    audiences.length === 1 &&
    audiences[0] === only &&
    roles.every((client) => client === only) &&
    life <= longestLifeOf(policy, asked, decision.longestLifeSeconds) + SKEW_SECONDS &&
    kind === 'provider-access' &&
    person?.sub === subject.person?.sub &&
    person?.issuer === subject.person?.issuer &&
    tenant === subject.tenant &&
    (boundTo === undefined ? binding.kind === 'none' : binding.kind === 'dpop' && binding.jkt === boundTo);
  if (!holds) throw new ExchangeRefused('provider_wider', others);
}

/** The decision's own, never another policy's. */
const longestLifeOf = (policy: PolicyDocument, { audiences: [only] }: Asked, decided: number): number =>
  Math.min(decided, policy.targets.find(({ audience }) => audience === only)?.longestLifeSeconds ?? 0);
