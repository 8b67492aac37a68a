/** What a code means on the wire. `oauth` is its name at endpoints with RFC 6749 errors; without it the status decides. */
export type ProblemEntry = { readonly status: number; readonly title: string; readonly oauth?: string };

/** An application's codes. Codes are stable: callers branch on them. */
export type ProblemTable = Readonly<Record<string, ProblemEntry>>;

/** The codes of this library and of those below it; an application's table adds its own and cannot change these. */
export const ownProblems = {
  malformed_request: { status: 400, title: 'The request is not valid HTTP', oauth: 'invalid_request' },
  malformed_json: { status: 400, title: 'The body is not JSON that this route takes', oauth: 'invalid_request' },
  invalid_input: { status: 400, title: 'The input breaks the rules of this route', oauth: 'invalid_request' },
  idempotency_key_missing: { status: 400, title: 'This route needs an Idempotency-Key', oauth: 'invalid_request' },
  token_missing: { status: 401, title: 'A token is needed', oauth: 'invalid_token' },
  invalid_token: { status: 401, title: 'The token is not accepted', oauth: 'invalid_token' },
  invalid_dpop_proof: { status: 401, title: 'The DPoP proof is not accepted', oauth: 'invalid_dpop_proof' },
  workload_unknown: {
    status: 403,
    title: 'The certificate names no workload that is known here',
    oauth: 'unauthorized_client',
  },
  workload_refused: { status: 403, title: 'This workload may not call this route', oauth: 'unauthorized_client' },
  insufficient_scope: { status: 403, title: 'The token lacks the scope of this route', oauth: 'insufficient_scope' },
  role_missing: { status: 403, title: 'The token lacks the role of this route', oauth: 'access_denied' },
  route_not_found: { status: 404, title: 'There is no such route', oauth: 'invalid_request' },
  job_not_found: { status: 404, title: 'There is no such job', oauth: 'invalid_request' },
  method_not_allowed: { status: 405, title: 'The route does not take this method', oauth: 'invalid_request' },
  request_timeout: { status: 408, title: 'The request did not arrive in time', oauth: 'invalid_request' },
  payload_too_large: { status: 413, title: 'The body is larger than this route takes', oauth: 'invalid_request' },
  unsupported_media_type: { status: 415, title: 'The route does not take this content type', oauth: 'invalid_request' },
  idempotency_key_reused: {
    status: 422,
    title: 'The Idempotency-Key was used for another request',
    oauth: 'invalid_request',
  },
  quota_exceeded: { status: 409, title: 'The tenant has as many as it may have', oauth: 'invalid_request' },
  tenant_rate_exceeded: {
    status: 429,
    title: 'Too many requests of this tenant',
    oauth: 'temporarily_unavailable',
  },
  too_many_requests: { status: 429, title: 'Too many requests', oauth: 'temporarily_unavailable' },
  headers_too_large: { status: 431, title: 'The headers are too large', oauth: 'invalid_request' },
  internal_error: { status: 500, title: 'Something went wrong here', oauth: 'server_error' },
  audit_unavailable: { status: 503, title: 'The event cannot be recorded now', oauth: 'temporarily_unavailable' },
  keys_unavailable: { status: 503, title: 'Keys cannot be had now', oauth: 'temporarily_unavailable' },
  revocation_unavailable: { status: 503, title: 'Revocation cannot be checked now', oauth: 'temporarily_unavailable' },
  read_stale: { status: 503, title: 'The object changed while it was read', oauth: 'temporarily_unavailable' },
  unavailable: { status: 503, title: 'A part that is needed does not answer', oauth: 'temporarily_unavailable' },
} as const satisfies ProblemTable;

/** @throws TypeError when the application redefines one of this library's codes otherwise. */
export function mergedProblems(application: ProblemTable): ProblemTable {
  const own: ProblemTable = ownProblems;
  for (const [code, { status }] of Object.entries(application)) {
    if (own[code] && own[code].status !== status)
      throw new TypeError(`${code} is a code of @postern/http with status ${own[code].status}`);
  }
  return Object.freeze({ ...own, ...application });
}
