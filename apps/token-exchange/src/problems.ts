import { type ProblemTable } from '@postern/http';

/** The codes of this service; its own refusals of an exchange are answers, see `exchanges/refusal.ts`. */
export const problems = {
  invalid_client: { status: 401, title: 'The client is not authenticated', oauth: 'invalid_client' },
  unsupported_grant_type: {
    status: 400,
    title: 'Only token exchange (RFC 8693) is offered here',
    oauth: 'unsupported_grant_type',
  },
} as const satisfies ProblemTable;
