import type { Action } from '@postern/audit';
import { z } from 'zod';
import type { Route, RouteDeclaration, Shape } from './declaration.ts';
import type { Answers } from './released.ts';

const NOTHING = z.strictObject({});
type Nothing = typeof NOTHING;

const DEFAULT_BODY_LIMIT = 64 * 1024;
const DEFAULT_DEPTH_LIMIT = 16;

/**
 * Declares a route once. From this value come the guard, the strict parsing, the handler's types, the OpenAPI document, the metrics'
 * labels, the audit action and the walk that tests every route with bad input.
 * @throws TypeError for a declaration that cannot be right: it fails at start, not at the first request.
 */
export function route<
  R extends Answers,
  A extends Action | 'open',
  P extends Shape = Nothing,
  Q extends Shape = Nothing,
  B extends Shape = z.ZodUndefined,
  H extends Shape = Nothing,
  Scope extends string | undefined = undefined,
  Who extends 'workload' | 'anyone' | undefined = undefined,
>(declaration: RouteDeclaration<P, Q, B, H, R, A, Scope, Who>): Route {
  const {
    method,
    path,
    listener,
    scope,
    role,
    access,
    workloads = [],
    audit,
    params,
    query,
    body,
    headers,
  } = declaration;
  const name = `${method} ${path}`;
  const insist = (holds: boolean, rule: string) => {
    if (!holds) throw new TypeError(`${name}: ${rule}`);
  };
  insist((scope === undefined) !== (access === undefined), 'exactly one of `scope` and `access`');
  insist(role === undefined || scope !== undefined, '`role` comes with `scope`');
  insist(
    workloads.length > 0 === (access === 'workload'),
    '`workloads` comes with `access: workload`, and is not empty',
  );
  insist(audit !== 'open' || access !== undefined, 'what records nothing asks for no token');
  insist(body === undefined || (method !== 'GET' && method !== 'HEAD'), 'a GET or HEAD has no body');
  insist(/^\/[A-Za-z0-9/_:.-]*$/.test(path), 'the path is plain, with `:name` parameters');
  const named = [...path.matchAll(/:([A-Za-z]+)/g)].map(([, parameter]) => parameter);
  const described = params instanceof z.ZodObject ? Object.keys(params.shape) : [];
  insist(named.toSorted().join() === described.toSorted().join(), 'each path parameter has its schema in `params`');

  return Object.freeze({
    method,
    path,
    listeners: typeof listener === 'string' ? [listener] : listener,
    summary: declaration.summary,
    description: declaration.description,
    group: undefined,
    audit,
    tier: declaration.tier,
    scope,
    role,
    access: access ?? ('token' as const),
    workloads,
    params: params ?? NOTHING,
    query: query ?? NOTHING,
    body,
    headers,
    consumes: declaration.consumes ?? ('json' as const),
    bodyLimit: declaration.bodyLimit ?? DEFAULT_BODY_LIMIT,
    depthLimit: declaration.depthLimit ?? DEFAULT_DEPTH_LIMIT,
    errors: declaration.errors ?? ('problem' as const),
    answers: declaration.answers,
    produces: declaration.produces,
    problems: declaration.problems ?? [],
    idempotency: declaration.idempotency,
    hidden: declaration.hidden ?? false,
    cacheControl: declaration.cacheControl ?? 'no-store',
    // The declaration's own types hold between its schemas and its handler; from here on they are erased.
    handle: declaration.handle as unknown as Route['handle'],
  });
}
