import type { MintedClaims } from '@postern/issuer';
import type { Principal } from '@postern/oidc';
import type { Decision } from '@postern/policy';
import { actOf, mayActOf } from './actor-chain.ts';
import type { Asked, Caller, Plan, PlanExchange } from './plan-exchange.ts';
import type { Subject } from './subject.ts';

export type Exchange = {
  token: string;
  /** Of this exchange: the `jti` of what was minted here. */
  id: string;
  /** Who signed the token, and its `jti` there. */
  issuer: string;
  tokenId: string;
  tokenType: 'Bearer' | 'DPoP';
  expiresAt: Date;
  expiresInSeconds: number;
  scopes: readonly string[];
  actors: readonly string[];
  decision: Decision;
};

/** Mints what was planned, bound to the caller's certificate or key. Nothing is recorded here. */
export async function mintToken(
  { issuer, now }: Pick<PlanExchange, 'issuer' | 'now'>,
  { principal }: Subject,
  asked: Asked,
  { binding }: Caller,
  { client, actors, decision, lifetimeSeconds, quotas }: Plan,
): Promise<Exchange> {
  const claims = { ...claimsOf({ principal }, asked, client, actors), ...(quotas && { quotas }) };
  const { token, tokenId, expiresAt } = await issuer.mint('at+jwt', claims, { lifetimeSeconds, binding });
  return {
    token,
    id: tokenId,
    issuer: issuer.issuer,
    tokenId,
    tokenType: binding.kind === 'dpop' ? 'DPoP' : 'Bearer',
    expiresAt,
    expiresInSeconds: Math.floor((expiresAt.getTime() - now().getTime()) / 1000),
    scopes: decision.granted,
    actors,
    decision,
  };
}

/** R3: tenant, original issuer and sub; what the login was worth goes with it, and who may act stays what it was. */
function claimsOf(
  { principal }: Pick<Subject, 'principal'>,
  { audiences, scopes }: Asked,
  client: string,
  actors: readonly string[],
): MintedClaims {
  const { person, tenant, roles, sessionId, claims } = principal;
  const act = actOf(actors);
  const mayAct = mayActOf(principal);
  const { acr, auth_time: authTime, grant_id: grant, job } = claims;
  const begunAt = principal.kind === 'postern-access' ? (claims['subject_iat'] ?? claims.iat) : claims.iat;
  return {
    sub: person?.sub ?? workloadIn(principal),
    ...(person && { subject_issuer: person.issuer }),
    aud: audiences.length > 1 ? [...audiences] : audiences[0],
    tenant,
    client_id: client,
    scope: [...new Set(scopes)].join(' '),
    ...(roles.size > 0 && { roles: [...roles] }),
    ...(act && { act }),
    ...(mayAct && { may_act: mayAct }),
    ...(sessionId !== undefined && { sid: sessionId }),
    ...(typeof begunAt === 'number' && { subject_iat: begunAt }),
    ...(typeof acr === 'string' && { acr }),
    ...(typeof authTime === 'number' && { auth_time: authTime }),
    ...(typeof grant === 'string' && { grant_id: grant }),
    ...(typeof job === 'string' && { job }),
  };
}

/** The workload that a token speaks for: whoever was given the minted one stands in `act`, and takes nobody's place. */
const workloadIn = ({ kind, clientId, claims: { sub } }: Principal): string =>
  kind === 'postern-access' && sub !== undefined ? sub : clientId;
