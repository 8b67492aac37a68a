import type { z } from 'zod';
import type { App } from './app.ts';
import { CONTENT_TYPES } from './content.ts';
import type { Route } from './declaration.ts';
import { jsonSchema, type Json } from './json-schema.ts';
import { answersOf, problemExamples, problemSchemas, problemsOf } from './openapi-answers.ts';

/** What holds for every route: read once, at the top of the document. */
const ABOUT = (service: string): string => `
**Who may call.** The api listener asks for a workload's client certificate (TLS 1.3) before it answers anything; the public one takes none.
A route with a token wants \`Authorization: Bearer\` with an access token for the audience \`${service}\` that is bound to that
certificate (RFC 8705), or \`Authorization: DPoP\` with a proof (RFC 9449).

**Errors** are problem documents (RFC 9457), those of OAuth endpoints as RFC 6749 section 5.2 says. Branch on \`code\`, which is stable; \`errors\` names the
fields and the broken rules. \`request\` is the \`X-Request-Id\` of the answer, yours or a new one. What is not known here, a field or a query parameter, is refused.

**Times** are RFC 3339 in UTC. **Creates** that take an \`Idempotency-Key\` do once what is sent twice. **Every answer** is released only after its event
is recorded, under the action that each route names; where it cannot be recorded, the answer is 503.
`;

/** The OpenAPI 3.1 document of a service, made from its routes' declarations. */
export function openApiDocument(app: App, routes: readonly Route[]): Json {
  const shown = routes.filter(({ hidden }) => !hidden);
  const paths: Record<string, Record<string, Operation>> = {};
  for (const route of shown) {
    const path = route.path.replaceAll(/:([A-Za-z]+)/g, '{$1}');
    const method = route.method.toLowerCase();
    const other = paths[path]?.[method];
    paths[path] = { ...paths[path], [method]: joined(other, operation(app, route)) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: `Postern ${app.service}`,
      version: app.version,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      description: ABOUT(app.service).trim(),
    },
    ...(app.publicUrl === undefined ? {} : { servers: [{ url: app.publicUrl }] }),
    tags: tagsOf(shown),
    paths,
    components: {
      schemas: problemSchemas(),
      examples: problemExamples(app, shown),
      securitySchemes: {
        mutualTls: { type: 'mutualTLS', description: 'Client certificate of a workload (SPIFFE id in its URI name).' },
        token: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: `Access token with audience ${app.service}, bound to the certificate or to a DPoP key.`,
        },
      },
    },
  };
}

/** The headings, in the order in which the application lists its routes. */
const tagsOf = (routes: readonly Route[]): Json[] => [
  ...new Map(routes.flatMap(({ group }) => (group ? [[group.name, group]] : []))).values(),
];

type Operation = Json & Record<'description', string> & Record<'security' | 'x-listeners', readonly unknown[]>;

/**
 * One of two listeners' routes of the same method and path, which a document can name only once. The one that is declared last
 * takes what the first does, and whatever its callers have instead of a certificate.
 */
const joined = (first: Operation | undefined, last: Operation): Operation =>
  first === undefined
    ? last
    : {
        ...last,
        summary: first['summary'],
        description: `${first.description}\n\n${last.description}`,
        'x-listeners': [...first['x-listeners'], ...last['x-listeners']],
        security: [...first.security, ...(last.security.length === 0 ? [{}] : last.security)],
        responses: { ...(first['responses'] as Json), ...(last['responses'] as Json) },
      };

function operation(app: App, route: Route): Operation {
  return {
    operationId: operationId(route),
    summary: route.summary,
    description: [route.description, guardOf(route)].filter(Boolean).join('\n\n'),
    ...(route.group ? { tags: [route.group.name] } : {}),
    ...(route.audit === 'open' ? {} : { 'x-audit-action': route.audit }),
    'x-listeners': route.listeners,
    ...(route.scope === undefined ? {} : { 'x-scope': route.scope }),
    ...(route.role === undefined ? {} : { 'x-role': route.role }),
    security: security(route),
    parameters: parametersOf(route),
    ...(route.body === undefined ? {} : { requestBody: requestBody(route, route.body) }),
    responses: { ...answersOf(route), ...problemsOf(app, route) },
  };
}

const operationId = ({ method, path }: Route): string =>
  [method.toLowerCase(), ...path.split('/').filter(Boolean)]
    .map((part) => part.replaceAll(/[^A-Za-z0-9]+/g, ''))
    .join('_');

/** Who may call, where, and what of it is recorded: as its declaration says, in words. */
function guardOf({ access, scope, role, workloads, listeners, audit }: Route): string {
  const withRole = role === undefined ? '' : ` and the role \`${role}\``;
  const who = {
    token: `Needs the scope \`${scope ?? ''}\`${withRole}.`,
    workload: `For the workloads ${workloads.map((name) => `\`${name}\``).join(', ')} alone.`,
    anyone: '',
  }[access];
  const where = `Listener: ${listeners.join(', ')}.`;
  return [who, where, audit === 'open' ? '' : `Recorded as \`${audit}\`.`].filter(Boolean).join(' ');
}

/** The api listener wants a certificate, the others have none; a route on both takes either. */
function security({ listeners, access, scope }: Route): Json[] {
  const token = access === 'token' ? { token: [scope] } : {};
  const certificate = listeners.includes('api') ? [{ mutualTls: [], ...token }] : [];
  const without = listeners.some((name) => name !== 'api') ? [token] : [];
  const alternatives = [...certificate, ...without];
  return alternatives.every((one) => Object.keys(one).length === 0) ? [] : alternatives;
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
  const { properties = {}, required = [] } = jsonSchema(schema, 'input') as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...property }]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    ...(description === undefined ? {} : { description }),
    schema: property,
  }));
}

function requestBody({ consumes, bodyLimit }: Route, schema: z.ZodType): Json {
  const description = `At most ${bodyLimit.toLocaleString('en')} bytes.`;
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
