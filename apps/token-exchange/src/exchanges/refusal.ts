import { TokenRefused } from '@postern/oidc';
import { ruleAnswers, type RefusalAnswer, type Rule } from '@postern/policy';
import { problem } from '@postern/runtime';

/** The error codes of RFC 6749 section 5.2, RFC 8693 section 2.2.2 and RFC 6750 section 3.1 that an exchange may end in. */
export type OAuthError =
  | 'invalid_request'
  | 'invalid_target'
  | 'invalid_scope'
  | 'insufficient_scope'
  | 'unauthorized_client'
  | 'access_denied'
  | 'invalid_dpop_proof'
  // RFC 9470 section 3.
  | 'insufficient_user_authentication'
  // RFC 8628 section 3.5, for approvals.
  | 'authorization_pending'
  | 'slow_down'
  | 'expired_token';

/** Why an exchange was refused: the rule of policy, or what was wrong with the request or the subject. */
export type Reason =
  | Rule
  | 'several_unbound'
  | 'no_target'
  | 'resource_malformed'
  | 'actor_incomplete'
  | 'several_values'
  | 'another_client'
  | 'provider_target'
  | 'provider_bound'
  | 'reauthorization'
  | 'provider_denied'
  | 'provider_scope'
  | 'provider_audience'
  | 'provider_narrower'
  | 'provider_wider'
  | 'grant_audience'
  | 'actor_not_allowed'
  | 'chain_too_long'
  | 'no_life_left'
  | 'proof_needed'
  | 'revoked'
  | 'authorization_pending'
  | 'slow_down'
  | 'approval_denied'
  | 'approval_expired'
  | 'emergency_refused';

type Entry = RefusalAnswer<OAuthError>;

/** One table: reason -> what the caller is told; those of policy stand beside its rules. Descriptions name no received value. */
const entries: Record<Reason, Entry> = {
  ...ruleAnswers,
  grant_audience: target('The grant does not extend to that audience'),
  provider_target: target('Tokens for that audience come from the identity provider, which is not offered here'),
  provider_bound: target('A subject that is bound to a key has no exchange at the identity provider'),
  reauthorization: request('The grant has ended at the identity provider: the person must consent again'),
  provider_denied: denied('The identity provider refuses this exchange'),
  provider_scope: scope('The identity provider does not give out that scope'),
  provider_audience: target('The identity provider does not give out tokens for that audience'),
  provider_narrower: {
    status: 403,
    error: 'insufficient_scope',
    description: 'The identity provider gave less than was asked',
  },
  provider_wider: scope('The identity provider gave more than was asked'),
  several_unbound: target('A token for several audiences is bound to a key of the caller'),
  emergency_refused: denied('There is no emergency access for this subject, or without a justification'),
  no_target: target('Name the audience'),
  resource_malformed: target('A resource is an absolute address without a fragment'),
  several_values: request('A parameter is given more than once'),
  another_client: {
    status: 403,
    error: 'unauthorized_client',
    description: 'client_id names another client than the certificate',
  },
  actor_incomplete: request('actor_token and actor_token_type come together'),
  actor_not_allowed: request('The subject names someone else as its actor'),
  chain_too_long: request('Too many have acted for the subject already'),
  proof_needed: { status: 400, error: 'invalid_dpop_proof', description: 'A DPoP proof is needed' },
  authorization_pending: { status: 400, error: 'authorization_pending', description: 'A person has to approve this' },
  slow_down: { status: 400, error: 'slow_down', description: 'Ask less often' },
  approval_denied: denied('The request was denied'),
  approval_expired: { status: 400, error: 'expired_token', description: 'Nobody decided in time' },
  revoked: request('The subject token is not accepted'),
  no_life_left: request('The subject token expires too soon'),
};

function denied(description: string): Entry {
  return { status: 403, error: 'access_denied', description };
}
function target(description: string): Entry {
  return { status: 400, error: 'invalid_target', description };
}
function scope(description: string): Entry {
  return { status: 400, error: 'invalid_scope', description };
}
function request(description: string): Entry {
  return { status: 400, error: 'invalid_request', description };
}

/** Seconds are whole. */
export type Waiting = { id: string; intervalSeconds: number; expiresInSeconds: number };

/** What a login must be (RFC 9470 section 3). */
export type LoginNeeded = { acrValues: readonly string[]; maxAgeSeconds?: number };

/** An exchange that policy or the protocol refuses. */
export class ExchangeRefused extends Error {
  readonly reason: Reason;
  readonly refusedScopes: readonly string[];
  /** Where it waits for a person: what the caller polls by. */
  readonly approval: Waiting | undefined;
  readonly loginNeeded: LoginNeeded | undefined;
  constructor(reason: Reason, refusedScopes: readonly string[] = [], approval?: Waiting, loginNeeded?: LoginNeeded) {
    super(reason);
    this.name = 'ExchangeRefused';
    this.reason = reason;
    this.refusedScopes = refusedScopes;
    this.approval = approval;
    this.loginNeeded = loginNeeded;
  }
  get answer(): Entry {
    return entries[this.reason];
  }
}

export type Said = Entry & {
  error: string;
  reason: string;
  refusedScopes: readonly string[];
  approval?: Waiting | undefined;
  loginNeeded?: LoginNeeded | undefined;
};

/**
 * What the caller and the log are told, or `undefined` for an error that is no refusal. A subject token that is not
 * accepted, for whatever reason, is an invalid request (RFC 8693 section 2.2.2); the reason stays in the log.
 * @throws Problem `keys_unavailable`, `revocation_unavailable` where the subject could not be judged
 */
export function refusalOf(error: unknown): Said | undefined {
  if (error instanceof ExchangeRefused) {
    const { answer, reason, refusedScopes, approval, loginNeeded } = error;
    return { ...answer, reason, refusedScopes, approval, loginNeeded };
  }
  if (!(error instanceof TokenRefused)) return undefined;
  if (error.code === 'keys_unavailable' || error.code === 'revocation_unavailable') {
    throw problem(error.code, { retryAfterSeconds: 2, cause: error });
  }
  if (error.code === 'invalid_dpop_proof') {
    const description = 'The DPoP proof is not accepted';
    return { status: 400, error: error.code, description, reason: error.reason, refusedScopes: [] };
  }
  return { ...request('The subject token is not accepted'), reason: error.reason, refusedScopes: [] };
}
