import type { Problem } from '@postern/runtime';
import type { Outgoing } from './released.ts';
import type { ProblemEntry } from './problem-table.ts';

/** Fields are listed up to this many. */
const MOST_FIELDS = 20;

/**
 * A failure as the caller sees it: RFC 9457 (`application/problem+json`) with `code`, the fields that were refused and the request's
 * id, or RFC 6749 section 5.2 at OAuth endpoints. Nothing that was received stands in it but the names of fields.
 */
export function problemAnswer(
  problem: Problem,
  entry: ProblemEntry,
  errors: 'problem' | 'oauth',
  requestId: string,
): Outgoing {
  const headers: Record<string, string> = {
    'content-type': errors === 'oauth' ? 'application/json' : 'application/problem+json',
    ...(problem.retryAfterSeconds === undefined ? {} : { 'retry-after': String(Math.ceil(problem.retryAfterSeconds)) }),
    ...problem.headers,
  };
  const body = errors === 'oauth' ? oauthError(problem, entry) : problemDocument(problem, entry, requestId);
  return { status: entry.status, headers, body: JSON.stringify(body) };
}

function problemDocument(problem: Problem, { status, title }: ProblemEntry, requestId: string) {
  return {
    type: `urn:postern:problem:${problem.code}`,
    title,
    status,
    code: problem.code,
    ...(problem.detail === undefined ? {} : { detail: problem.detail }),
    ...(problem.fields.length === 0 ? {} : { errors: problem.fields.slice(0, MOST_FIELDS) }),
    request: requestId,
  };
}

function oauthError(problem: Problem, entry: ProblemEntry) {
  const { title } = entry;
  const fields = problem.fields
    .slice(0, MOST_FIELDS)
    .map(({ field, rule }) => `${field.replace(/^body\./, '')}: ${rule}`);
  const description = problem.detail ?? (fields.length > 0 ? `${title} (${fields.join(', ')})` : title);
  return { error: oauthCodeOf(entry), error_description: printable(description) };
}

/** The `error` of RFC 6749 section 5.2 that stands for a code. */
export function oauthCodeOf({ status, oauth }: ProblemEntry): string {
  if (oauth !== undefined) return oauth;
  if (status >= 500) return status === 503 ? 'temporarily_unavailable' : 'server_error';
  if (status === 401) return 'invalid_client';
  return status === 403 ? 'access_denied' : 'invalid_request';
}

// RFC 6749 section 5.2: %x20-21 / %x23-5B / %x5D-7E
const printable = (text: string): string => text.replace(/[^\x20-\x7e]|["\\]/g, "'");
