import { type ProblemTable } from '@postern/http';

/** The codes of this service; its own refusals of an exchange are answers, see `exchanges/refusal.ts`. */
export const problems = {
  invalid_client: { status: 401, title: 'The client is not authenticated', oauth: 'invalid_client' },
  unsupported_grant_type: {
    status: 400,
    title: 'Only token exchange (RFC 8693) is offered here',
    oauth: 'unsupported_grant_type',
  },
  unauthorized_client: { status: 403, title: 'The token is another client’s', oauth: 'unauthorized_client' },
  revocation_refused: { status: 400, title: 'That cannot be revoked here' },
  token_not_found: { status: 404, title: 'No such token' },
  operator_required: { status: 403, title: 'Only an operator may do this' },
  exchange_not_found: { status: 404, title: 'No such exchange' },
} as const satisfies ProblemTable;
