import type { ProblemTable } from '@postern/http';

/** What the routes of this library answer with; a service puts them into its own table. */
export const webProblems = {
  cross_site: { status: 403, title: 'The form is not one of this session’s own pages' },
  logout_refused: { status: 400, title: 'The logout token is not accepted', oauth: 'invalid_request' },
  provider_unavailable: {
    status: 503,
    title: 'The identity provider does not answer',
    oauth: 'temporarily_unavailable',
  },
} as const satisfies ProblemTable;
