import type { IncomingMessage, RequestListener } from 'node:http';
import express, { type NextFunction, type Request, type Response } from 'express';
import { newEvent } from '@postern/audit';
import { problem, type Problem } from '@postern/runtime';
import type { App } from './app.ts';
import { connectionOf } from './connection.ts';
import { problemAnswer } from './problem-answer.ts';
import { requestFacts, requestIdOf, traceOf } from './request-facts.ts';
import { draftOf } from './route-audit.ts';
import { frameOf } from './refusal-event.ts';
import { serverSpan } from './server-span.ts';
import { serveRoute, type ListenerContext } from './serve-route.ts';
import { writeAnswer } from './write-answer.ts';

const NO_ROUTE = '(none)';
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const OTHER = 'other';
const knownMethod = ({ method }: Request): string => (METHODS.has(method) ? method : OTHER);

/**
 * One listener's routes on Express's router: each is one handler, without middleware before it. Another method of a path is 405
 * with `Allow`, anything else 404. There is no application around it: that would give each request and answer another
 * prototype, for methods that no handler here is given, and cost a tenth of a request.
 */
export function expressRoutes(app: App, listener: ListenerContext): RequestListener {
  const router = express.Router({ caseSensitive: true, strict: true });

  const unrouted = new Map([...METHODS, OTHER].map((method) => [method, serverSpan(method, NO_ROUTE, listener.name)]));
  const refuse = (request: Request, response: Response, refusal: Problem) =>
    unrouted.get(knownMethod(request))!(request, response, () =>
      refuseUnrouted(app, listener, request, response, refusal),
    );
  const here = app.routes.filter(({ listeners }) => listeners.includes(listener.name));
  for (const route of here) {
    const method = route.method.toLowerCase() as 'get' | 'head' | 'post' | 'put' | 'patch' | 'delete';
    const serve = serveRoute(app, route, listener);
    const span = serverSpan(route.method, route.path, listener.name);
    router[method](route.path, (request, response, next) => {
      // Express lets HEAD reach a GET; where something is recorded, a HEAD is a route of its own.
      if (request.method === 'HEAD' && route.method !== 'HEAD' && route.audit !== 'open') next();
      else span(request, response, () => serve(request, response));
    });
  }
  for (const [path, routes] of Map.groupBy(here, (route) => route.path)) {
    const allow = routes.map(({ method }) => method).join(', ');
    router.all(path, (request, response) =>
      refuse(request, response, problem('method_not_allowed', { headers: { allow } })),
    );
  }
  router.use((request, response) => refuse(request, response, problem('route_not_found')));
  // Express itself fails only on a path whose percent-encoding is broken.
  router.use((_error: unknown, request: Request, response: Response, _next: NextFunction) =>
    refuse(request, response, problem('malformed_request')),
  );
  // The handlers above take every request and every error.
  return (request, response) =>
    hasOneHost(request)
      ? router(request as Request, response as Response, () => response.destroy())
      : refuse(
          request as Request,
          response as Response,
          problem('malformed_request', { headers: { connection: 'close' } }),
        );
}

/** RFC 9112 section 3.2: no `Host`, two of them (joined by a comma) or one that is no host are 400. HTTP/1.0 has none. */
const hasOneHost = ({ headers: { host }, httpVersionMinor }: IncomingMessage): boolean =>
  host === undefined ? httpVersionMinor === 0 : /^[\w.~%:[\]-]*$/.test(host);

function refuseUnrouted(
  app: App,
  listener: ListenerContext,
  request: Request,
  response: Response,
  refusal: Problem,
): void {
  const started = performance.now();
  const connection = connectionOf(request, app.workloads);
  const id = requestIdOf(request);
  const facts = requestFacts(request, id, connection, {
    listener: listener.name,
    path: '',
    origins: listener.origins(),
    trace: traceOf(request),
  });
  const entry = app.problems[refusal.code]!;
  if (listener.name !== 'management') {
    const details = { route: NO_ROUTE, status: entry.status };
    const draft = draftOf({
      ...frameOf(facts, null),
      action: 'request.refused',
      outcome: 'refused',
      reason: refusal.code,
      details,
    });
    app.audit.refusedEarly(newEvent(draft, app.now()));
  }
  const outgoing = problemAnswer(refusal, entry, 'problem', id);
  void writeAnswer(request, response, outgoing, {
    requestId: id,
    cacheControl: 'no-store',
    last: listener.isLast(connection),
  });
  app.metrics.observe(knownMethod(request), NO_ROUTE, entry.status, (performance.now() - started) / 1000);
}
