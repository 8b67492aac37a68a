import { z } from 'zod';
import type { App } from './app.ts';
import { CONTENT_TYPES } from './content.ts';
import type { Route } from './declaration.ts';
import type { AnswerKind } from './released.ts';

type Json = Record<string, unknown>;

const problemSchema = z.strictObject({
  type: z.string().describe('urn:postern:problem: and the code'),
  title: z.string(),
  status: z.int(),
  code: z.string().describe('stable: branch on this'),
  detail: z.string().optional(),
  errors: z.array(z.strictObject({ field: z.string(), rule: z.string() })).optional(),
  request: z.string().describe('the X-Request-Id'),
});
const oauthErrorSchema = z.strictObject({ error: z.string(), error_description: z.string().optional() });

/** The OpenAPI 3.1 document of a service, made from its routes' declarations. */
export function openApiDocument(app: App, routes: readonly Route[]): Json {
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    if (route.hidden) continue;
    const path = route.path.replaceAll(/:([A-Za-z]+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(app, route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: `Postern ${app.service}`,
      version: app.version,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    ...(app.publicUrl === undefined ? {} : { servers: [{ url: app.publicUrl }] }),
    paths,
    components: {
      schemas: { Problem: jsonSchema(problemSchema, 'output'), OAuthError: jsonSchema(oauthErrorSchema, 'output') },
      securitySchemes: {
        mutualTls: { type: 'mutualTLS', description: 'Client certificate of a workload (SPIFFE id in its URI name).' },
        token: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: `Access token with audience ${app.service}.`,
        },
      },
    },
  };
}

function operation(app: App, route: Route): Json {
  const needsCertificate = route.listeners.includes('api');
  return {
    operationId: operationId(route),
    ...(route.summary === undefined ? {} : { summary: route.summary }),
    ...(route.audit === 'open' ? {} : { 'x-audit-action': route.audit }),
    'x-listeners': route.listeners,
    ...(route.scope === undefined ? {} : { 'x-scope': route.scope }),
    ...(route.role === undefined ? {} : { 'x-role': route.role }),
    security: security(route, needsCertificate),
    parameters: parametersOf(route),
    ...(route.body === undefined ? {} : { requestBody: requestBody(route, route.body) }),
    responses: { ...answersOf(route), ...problemsOf(app, route) },
  };
}

const operationId = ({ method, path }: Route): string =>
  [method.toLowerCase(), ...path.split('/').filter(Boolean)]
    .map((part) => part.replaceAll(/[^A-Za-z0-9]+/g, ''))
    .join('_');

function security(route: Route, certificate: boolean): Json[] {
  const needed = {
    ...(certificate ? { mutualTls: [] } : {}),
    ...(route.access === 'token' ? { token: [route.scope] } : {}),
  };
  return Object.keys(needed).length === 0 ? [] : [needed];
}

function parametersOf(route: Route): Json[] {
  const idempotency = {
    name: 'Idempotency-Key',
    in: 'header',
    required: route.idempotency === 'required',
    description: 'The same key and request create once.',
    schema: { type: 'string', minLength: 1, maxLength: 255 },
  };
  return [
    ...listed(route.params, 'path'),
    ...listed(route.query, 'query'),
    ...(route.headers ? listed(route.headers, 'header') : []),
    ...(route.idempotency === undefined ? [] : [idempotency]),
  ];
}

function listed(schema: z.ZodType, place: 'path' | 'query' | 'header'): Json[] {
  const { properties = {}, required = [] } = jsonSchema(schema, 'input') as { properties?: Json; required?: string[] };
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    schema: property,
  }));
}

function requestBody({ consumes, bodyLimit }: Route, schema: z.ZodType): Json {
  const description = `At most ${bodyLimit} bytes.`;
  if (consumes === 'stream') {
    const bytes = { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } };
    return { required: true, description: 'Of any length. Read the answer while you send.', content: bytes };
  }
  if (consumes === 'bytes')
    return { required: true, description, content: Object.fromEntries(CONTENT_TYPES.map((type) => [type, {}])) };
  const type = consumes === 'form' ? 'application/x-www-form-urlencoded' : 'application/json';
  return {
    required: !schema.safeParse(undefined).success,
    description,
    content: { [type]: { schema: jsonSchema(schema, 'input') } },
  };
}

function answersOf({ answers }: Route): Json {
  return Object.fromEntries(Object.entries(answers).map(([status, kind]) => [status, answerOf(kind)]));
}

function answerOf(kind: AnswerKind): Json {
  if (kind === 'redirect') return { description: 'A redirect.', headers: { Location: { schema: { type: 'string' } } } };
  if (kind === 'html') return { description: 'A page.', content: { 'text/html': {} } };
  if (kind === 'text') return { description: 'Text.', content: { 'text/plain': {} } };
  if (kind === 'bytes')
    return { description: 'Bytes.', content: Object.fromEntries(CONTENT_TYPES.map((type) => [type, {}])) };
  if (kind === 'stream') return { description: 'Bytes.', content: { 'application/octet-stream': {} } };
  if (kind instanceof z.ZodUndefined) return { description: 'No body.' };
  return {
    description: kind.description ?? 'The answer.',
    content: { 'application/json': { schema: jsonSchema(kind, 'output') } },
  };
}

const ALWAYS = ['malformed_request', 'invalid_input', 'internal_error', 'audit_unavailable'];
const WITH_TOKEN = ['token_missing', 'invalid_token', 'insufficient_scope'];
const WITH_BODY = ['malformed_json', 'payload_too_large', 'unsupported_media_type'];

function problemsOf({ problems }: App, route: Route): Json {
  const codes = [
    ...(route.audit === 'open' ? [] : ALWAYS),
    ...(route.access === 'token' ? WITH_TOKEN : []),
    ...(route.role === undefined ? [] : ['role_missing']),
    ...(route.access === 'workload' ? ['workload_refused'] : []),
    ...(route.body === undefined ? [] : WITH_BODY),
    ...(route.tier === undefined ? [] : ['too_many_requests']),
    ...(route.idempotency === undefined ? [] : ['idempotency_key_reused']),
    ...route.problems,
  ];
  const byStatus = Map.groupBy(codes, (code) => problems[code]?.status ?? 500);
  const [type, schema] =
    route.errors === 'oauth' ? ['application/json', 'OAuthError'] : ['application/problem+json', 'Problem'];
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      status,
      {
        description: [...new Set(codes)].map((code) => `\`${code}\``).join(', '),
        content: { [type!]: { schema: { $ref: `#/components/schemas/${schema}` } } },
      },
    ]),
  );
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, {
    target: 'draft-2020-12',
    io,
    unrepresentable: 'any',
  });
  return rest;
}
