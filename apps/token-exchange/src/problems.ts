import { type ProblemTable } from '@postern/http';
import { webProblems } from '@postern/web';

/** The codes of this service; its own refusals of an exchange are answers, see `exchanges/refusal.ts`. */
export const problems = {
  ...webProblems,
  invalid_client: { status: 401, title: 'The client is not authenticated', oauth: 'invalid_client' },
  several_methods: {
    status: 400,
    title: 'A client proves itself in one way (RFC 6749 section 2.3)',
    oauth: 'invalid_request',
  },
  provider_unavailable: {
    status: 503,
    title: 'The identity provider does not answer',
    oauth: 'temporarily_unavailable',
  },
  unsupported_grant_type: {
    status: 400,
    title: 'Only token exchange (RFC 8693) is offered here',
    oauth: 'unsupported_grant_type',
  },
  unauthorized_client: { status: 403, title: 'The token is another client’s', oauth: 'unauthorized_client' },
  revocation_refused: { status: 400, title: 'That cannot be revoked here' },
  token_not_found: { status: 404, title: 'No such token' },
  operator_required: { status: 403, title: 'Only an operator may do this' },
  policy_unseen: { status: 428, title: 'The policy changes only under If-Match' },
  policy_changed: { status: 412, title: 'Another policy is in force than the one named' },
  policy_version_used: { status: 409, title: 'The version has named another policy' },
  policy_refused: { status: 400, title: 'The policy contradicts the trust table' },
  workload_not_found: { status: 404, title: 'No such workload' },
  key_not_found: { status: 404, title: 'No such signing key' },
  tenant_exists: { status: 409, title: 'There is such a tenant' },
  tenant_reserved: { status: 400, title: 'The id lies in a reserved namespace' },
  tenant_not_found: { status: 404, title: 'No such tenant' },
  tenant_gone: { status: 409, title: 'The tenant was offboarded' },
  approval_not_found: { status: 404, title: 'No such approval' },
  approval_ended: { status: 409, title: 'The approval is no longer pending' },
  approver_refused: { status: 403, title: 'You may not decide about this' },
  scopes_not_asked: { status: 400, title: 'Only what was asked for can be approved' },
  exchange_not_found: { status: 404, title: 'No such exchange' },
} as const satisfies ProblemTable;
