import type { IncomingMessage } from 'node:http';
import { TokenRefused, type Presented, type Principal, type TokenVerifier } from '@postern/oidc';
import { problem, type Problem } from '@postern/runtime';
import type { RequestFacts, Route } from './declaration.ts';

/** RFC 6750 section 2.1 and RFC 9449 section 7.1: a scheme and one token68. */
const CREDENTIALS = /^(Bearer|DPoP) +([A-Za-z0-9._~+/-]{1,16384}=*)$/i;
const DPOP_ALGS = 'ES256 PS256 EdDSA';
const TRY_AGAIN_SECONDS = 2;

/** A refusal with the stable reason that goes into the audit event, never to the caller. */
export type Refusal = { readonly problem: Problem; readonly reason: string };

export class Refused extends Error {
  readonly problem: Problem;
  readonly reason: string;
  /** Whether it is known who asked: then the refusal is an event of its own. */
  readonly principal: Principal | null;

  constructor(refusal: Problem, reason: string, principal: Principal | null = null) {
    super(reason);
    this.problem = refusal;
    this.reason = reason;
    this.principal = principal;
  }
}

/**
 * Verifies the token of a request and that it carries the route's scope and role.
 * @throws Refused
 */
export async function authenticate(
  verifier: Pick<TokenVerifier, 'verify'>,
  route: Route,
  request: IncomingMessage,
  facts: RequestFacts,
): Promise<Principal> {
  const match = CREDENTIALS.exec(request.headers.authorization ?? '');
  if (!match) throw new Refused(problem('token_missing', { headers: challenge() }), 'token_missing');
  const principal = await verified(verifier, match[2] ?? '', presentedBy(facts, request.method ?? '', match[1] ?? ''));
  if (route.scope !== undefined && !principal.scopes.has(route.scope)) {
    const headers = challenge({ error: 'insufficient_scope', scope: route.scope });
    throw new Refused(problem('insufficient_scope', { headers }), 'scope_missing', principal);
  }
  if (route.role !== undefined && !principal.roles.has(route.role)) {
    throw new Refused(problem('role_missing'), 'role_missing', principal);
  }
  return principal;
}

function presentedBy(
  { certificateThumbprint, workload, dpop, url }: RequestFacts,
  method: string,
  scheme: string,
): Presented {
  const proof = scheme.toLowerCase() === 'dpop' ? (dpop ?? '') : null;
  return {
    ...(certificateThumbprint === null ? {} : { certificateThumbprint }),
    ...(workload === null ? {} : { workload }),
    ...(proof === null ? {} : { dpop: { proof, method, url } }),
  };
}

async function verified(
  verifier: Pick<TokenVerifier, 'verify'>,
  token: string,
  presented: Presented,
): Promise<Principal> {
  try {
    return await verifier.verify(token, presented);
  } catch (error) {
    if (!(error instanceof TokenRefused)) throw error;
    const { code, reason } = error;
    if (code === 'keys_unavailable' || code === 'revocation_unavailable') {
      throw new Refused(problem(code, { retryAfterSeconds: TRY_AGAIN_SECONDS, cause: error }), reason);
    }
    throw new Refused(problem(code, { headers: challenge({ error: code }), cause: error }), reason);
  }
}

/** `WWW-Authenticate` by RFC 6750 section 3 and RFC 9449 section 7.1; no error code where no token was sent. */
function challenge(attributes: { error?: string; scope?: string } = {}): { 'www-authenticate': string } {
  const listed = Object.entries(attributes).map(([name, value]) => `${name}="${value}"`);
  const bearer = ['Bearer realm="postern"', ...listed].join(', ');
  const dpop = [`DPoP algs="${DPOP_ALGS}"`, ...listed].join(', ');
  return { 'www-authenticate': `${bearer}, ${dpop}` };
}
