import { release, type Outgoing, type Page, type Released, type Stream } from './released.ts';

/**
 * The routes that record nothing, each with its reason: they give out nothing that belongs to anybody. `createHttpApp` refuses any
 * other route that is declared `audit: 'open'`; a test holds this list.
 */
export const OPEN_ROUTES: ReadonlySet<string> = Object.freeze(
  new Set([
    'GET /health',
    'GET /health/live',
    'GET /health/ready',
    'GET /version',
    'GET /metrics',
    'GET /docs',
    'GET /docs/scalar.js',
    'GET /openapi.json',
    'GET /.well-known/jwks.json',
    'GET /.well-known/oauth-authorization-server',
    'GET /.well-known/openid-configuration',
    'GET /.well-known/assertion-keys.json',
    'GET /.well-known/security.txt',
    'GET /.well-known/provider-client.json',
    'GET /v1/providers/:id/jwks.json',
    'GET /v1/revocations',
    'GET /v1/log/checkpoint',
    'GET /v1/log/key',
    'GET /v1/log/keys',
    'GET /v1/watermarks/:producer',
  ]),
);

type OpenAnswer =
  | { readonly status: number; readonly body: unknown; readonly headers?: Readonly<Record<string, string>> }
  | {
      readonly status: number;
      readonly text: string;
      readonly contentType: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  | Page
  | Stream;

/** Releases an answer without a record; only a route declared `audit: 'open'` may return it, and only those of {@link OPEN_ROUTES} may be declared so. */
export function open(answer: OpenAnswer): Released<'open'> {
  return release(outgoing(answer), 'open');
}

function outgoing(answer: OpenAnswer): Outgoing {
  if ('html' in answer) {
    const policy = answer.contentSecurityPolicy;
    return {
      status: answer.status ?? 200,
      headers: { 'content-type': 'text/html; charset=utf-8', ...(policy ? { 'content-security-policy': policy } : {}) },
      body: answer.html,
    };
  }
  if ('source' in answer) {
    return {
      status: answer.status ?? 200,
      headers: { 'content-type': answer.contentType, ...answer.headers },
      body: answer.source,
    };
  }
  if ('text' in answer) {
    return {
      status: answer.status,
      headers: { 'content-type': answer.contentType, ...answer.headers },
      body: answer.text,
    };
  }
  return {
    status: answer.status,
    headers: { 'content-type': 'application/json', ...answer.headers },
    body: JSON.stringify(answer.body),
  };
}
