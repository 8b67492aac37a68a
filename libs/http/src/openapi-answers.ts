import { STATUS_CODES } from 'node:http';
import { z } from 'zod';
import type { App } from './app.ts';
import { CONTENT_TYPES } from './content.ts';
import type { Route } from './declaration.ts';
import { jsonSchema, type Json } from './json-schema.ts';
import { oauthCodeOf } from './problem-answer.ts';
import type { ProblemEntry } from './problem-table.ts';
import type { AnswerKind } from './released.ts';

const problemSchema = z.strictObject({
  type: z.string().describe('`urn:postern:problem:` and the code'),
  title: z.string().describe('what the code means, in words'),
  status: z.int().describe('the HTTP status of the answer'),
  code: z.string().describe('stable: branch on this'),
  detail: z.string().optional().describe('what is to be said of this one request'),
  errors: z
    .array(
      z.strictObject({
        field: z.string().describe('place and path: `body.items.0.name`, `query.limit`'),
        rule: z.string().describe('which rule it breaks: `too_big`, `unknown_field`; never the value'),
      }),
    )
    .optional()
    .describe('the fields that broke the rules of the route, with `invalid_input`'),
  request: z.string().describe('the X-Request-Id'),
});
const oauthErrorSchema = z.strictObject({
  error: z.string().describe('RFC 6749 section 5.2, and the codes of its extensions'),
  error_description: z.string().optional().describe('for a person who reads it'),
});

export const problemSchemas = (): Json => ({
  Problem: jsonSchema(problemSchema, 'output'),
  OAuthError: jsonSchema(oauthErrorSchema, 'output'),
});

/** One example of each code that a route may answer. */
export function problemExamples({ problems }: App, routes: readonly Route[]): Json {
  const codes = new Set(routes.flatMap((route) => (route.errors === 'oauth' ? [] : codesOf(route))));
  return Object.fromEntries(
    [...codes].toSorted().map((code) => {
      const { status, title } = problems[code]!;
      const request = '0190b7a4-6d1e-7c3a-9f52-3b1e0c8d4a67';
      return [code, { summary: title, value: { type: `urn:postern:problem:${code}`, title, status, code, request } }];
    }),
  );
}

export function answersOf({ answers, produces }: Route): Json {
  return Object.fromEntries(
    Object.entries(answers).map(([status, kind]) => [
      status,
      { description: STATUS_CODES[status] ?? 'The answer.', ...contentOf(kind, produces) },
    ]),
  );
}

const ofType = (type: string, schema: Json = { type: 'string' }): Json => ({ content: { [type]: { schema } } });

function contentOf(kind: AnswerKind, produces: string | undefined): Json {
  if (kind === 'redirect') {
    const location = { description: 'Where the browser goes on', schema: { type: 'string' } };
    return { description: 'A redirect.', headers: { Location: location } };
  }
  if (kind === 'html') return { description: 'A page.', ...ofType('text/html') };
  if (kind === 'text') return ofType(produces ?? 'text/plain');
  if (kind === 'bytes')
    return { description: 'Bytes.', content: Object.fromEntries(CONTENT_TYPES.map((type) => [type, {}])) };
  if (kind === 'stream') {
    const type = produces ?? 'application/octet-stream';
    return {
      description: 'A stream: it is read as it comes.',
      ...ofType(type, produces === undefined ? { type: 'string', format: 'binary' } : { type: 'string' }),
    };
  }
  if (kind instanceof z.ZodUndefined) return { description: 'No body.' };
  return {
    ...(kind.description === undefined ? {} : { description: kind.description }),
    ...ofType('application/json', jsonSchema(kind, 'output')),
  };
}

const ALWAYS = ['malformed_request', 'invalid_input', 'internal_error', 'audit_unavailable'];
const WITH_TOKEN = ['token_missing', 'invalid_token', 'insufficient_scope'];
const WITH_BODY = ['malformed_json', 'payload_too_large', 'unsupported_media_type'];

const codesOf = (route: Route): string[] => [
  ...new Set([
    ...(route.audit === 'open' ? [] : ALWAYS),
    ...(route.access === 'token' ? WITH_TOKEN : []),
    ...(route.role === undefined ? [] : ['role_missing']),
    ...(route.access === 'workload' ? ['workload_refused'] : []),
    ...(route.body === undefined ? [] : WITH_BODY),
    ...(route.tier === undefined ? [] : ['too_many_requests']),
    ...(route.idempotency === 'required' ? ['idempotency_key_missing'] : []),
    ...(route.idempotency === undefined ? [] : ['idempotency_key_reused']),
    ...route.problems,
  ]),
];

/** The refusals of a route, by status: each code with what it means. */
export function problemsOf({ problems }: App, route: Route): Json {
  const byStatus = Map.groupBy(codesOf(route), (code) => problems[code]!.status);
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      status,
      {
        description: codes.map((code) => said(code, problems[code]!, route)).join('\n\n'),
        content: route.errors === 'oauth' ? oauthContent : problemContent(codes),
      },
    ]),
  );
}

const said = (code: string, entry: ProblemEntry, { errors }: Route): string =>
  `\`${errors === 'oauth' ? oauthCodeOf(entry) : code}\`: ${entry.title}`;

const oauthContent = { 'application/json': { schema: { $ref: '#/components/schemas/OAuthError' } } };
const problemContent = (codes: readonly string[]): Json => ({
  'application/problem+json': {
    schema: { $ref: '#/components/schemas/Problem' },
    examples: Object.fromEntries(codes.map((code) => [code, { $ref: `#/components/examples/${code}` }])),
  },
});
