import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Principal } from '@postern/oidc';
import { isPostgresAway, isRolledBack, isUnstorableText } from '@postern/postgres';
import { Problem, problem } from '@postern/runtime';
import type { App } from './app.ts';
import { authenticate, Refused } from './authenticate.ts';
import { callerOf } from './caller-of.ts';
import { connectionOf, type Connection } from './connection.ts';
import type { ListenerName, RequestFacts, Route } from './declaration.ts';
import { idempotencyOf } from './idempotency.ts';
import { parsed } from './parse-input.ts';
import { problemAnswer } from './problem-answer.ts';
import { pairsOf, readBody } from './read-body.ts';
import { frameOf, refusalEvent } from './refusal-event.ts';
import { outgoingOf, type Outgoing } from './released.ts';
import { requestFacts, requestIdOf, traceOf } from './request-facts.ts';
import { createRouteAudit, StaleRead } from './route-audit.ts';
import { quotaOf } from './tenant-quotas.ts';
import { writeAnswer } from './write-answer.ts';

/** What a listener knows: its name, the origins it answers under, and whether it is draining or the connection is old. */
export type ListenerContext = {
  readonly name: ListenerName;
  readonly origins: () => readonly string[];
  /** How long a body may take to arrive, or a piece of it where it is streamed. */
  readonly pauseMs: number;
  readonly isLast: (connection: Connection) => boolean;
};

type Handler = (request: IncomingMessage & { params: unknown }, response: ServerResponse) => void;

const MOST_READS = 3;

const QUOTA_PROBLEMS = new Set(['tenant_rate_exceeded', 'quota_exceeded']);
/** Refusals that come in numbers: they are recorded together (R24). */
const COUNTED = new Set(['too_many_requests', 'tenant_rate_exceeded', 'audit_unavailable']);

/** The request handler of one route: guard, rate, parse, handle, answer; each refusal recorded, each request measured. */
export function serveRoute(app: App, route: Route, listener: ListenerContext): Handler {
  const name = `${route.method} ${route.path}`;
  const tier = route.tier ?? (route.audit !== 'open' && listener.name === 'public' ? 'standard' : undefined);

  async function answer(
    request: IncomingMessage & { params: unknown },
    facts: RequestFacts,
    connection: Connection,
    asking: { principal: Principal | null },
  ): Promise<Outgoing> {
    if (route.audit !== 'open' && connection.refused !== null)
      throw new Refused(problem('workload_unknown'), connection.refused);
    if (route.access === 'token') {
      asking.principal = await authenticate(app.verifier, route, request, facts);
    } else if (route.access === 'workload' && !route.workloads.includes(facts.workload ?? '')) {
      throw new Refused(problem('workload_refused'), 'workload_refused');
    }
    const { principal } = asking;
    const perMinute = principal === null ? undefined : quotaOf(principal, app.service).requestsPerMinute;
    if (principal !== null && perMinute !== undefined) await app.tenantRates.count(principal.tenant, perMinute);
    if (tier !== undefined) await app.rates.consume(tier, callerOf(facts, principal));

    const params = parsed(route.params, plainParams(request.params), 'params');
    const query = parsed(route.query, queryOf(request.url ?? ''), 'query');
    const headers = route.headers && parsed(route.headers, namedHeaders(route.headers, request), 'header');
    const raw = await readBody(request, route, listener.pauseMs);
    const body = route.body && parsed(route.body, raw, 'body');
    const input = {
      principal,
      workload: facts.workload,
      params,
      query,
      body,
      headers: headers ?? {},
      request: facts,
      idempotency: route.idempotency
        ? idempotencyOf(request, route, callerOf(facts, principal), [params, query, body, headers])
        : null,
    };
    const action = route.audit;
    if (action === 'open') return outgoingFrom(await route.handle({ ...input, attempt: 0 }, null), 'open');
    const frame = frameOf(facts, principal);
    for (let attempt = 0; ; attempt += 1) {
      const audit = createRouteAudit({ port: app.audit, action, answers: route.answers, frame, now: app.now });
      try {
        return outgoingFrom(await route.handle({ ...input, attempt }, audit), 'recorded');
      } catch (error) {
        if (!(error instanceof StaleRead)) throw error;
        if (attempt === MOST_READS - 1) throw problem('read_stale', { retryAfterSeconds: 1 });
      }
    }
  }

  async function refuse(
    error: unknown,
    facts: RequestFacts,
    connection: Connection,
    known: Principal | null,
  ): Promise<Outgoing> {
    const refused = error instanceof Refused ? error : null;
    const thrown = refused?.problem ?? ofPostgres(error);
    const entry = thrown instanceof Problem ? app.problems[thrown.code] : undefined;
    const shown = thrown instanceof Problem && entry ? thrown : problem('internal_error');
    const { status } = entry ?? { status: 500 };
    if (QUOTA_PROBLEMS.has(shown.code)) app.metrics.refusedByQuota(shown.code);
    if (status >= 500)
      app.logger.error(
        { err: error, route: name, request: facts.id, trace: facts.trace, problem: shown.code },
        'a request failed',
      );
    if (route.audit !== 'open') {
      const principal = refused?.principal ?? known;
      const event = refusalEvent({
        app,
        route: name,
        action: route.audit,
        facts,
        principal,
        status,
        reason: refused?.reason ?? shown.code,
        problem: shown,
      });
      // With Postgres away there is nothing to record it with: it is counted, and the answer waits for no second attempt.
      const counted = COUNTED.has(shown.code) || isPostgresAway(error);
      // What is known of the caller is enough for an event of its own; a token that failed says nothing.
      const authenticated = principal !== null || (route.access !== 'token' && connection.workload !== null);
      if (counted || !authenticated) app.audit.refusedEarly(event);
      else
        await app.audit
          .refused(event)
          .catch((err: unknown) =>
            app.logger.error({ err, route: name, request: facts.id }, 'a refusal was not recorded'),
          );
    }
    return problemAnswer(shown, entry ?? app.problems['internal_error']!, route.errors, facts.id);
  }

  return (request, response) => {
    const started = performance.now();
    const connection = connectionOf(request, app.workloads);
    const trace = traceOf(request);
    const facts = requestFacts(request, requestIdOf(request), connection, {
      listener: listener.name,
      path: pathOf(request.url ?? ''),
      origins: listener.origins(),
      trace,
    });
    const asking: { principal: Principal | null } = { principal: null };
    const written = { requestId: facts.id, cacheControl: route.cacheControl };
    void answer(request, facts, connection, asking)
      .catch((error: unknown) => refuse(error, facts, connection, asking.principal))
      .then(async (outgoing) => {
        await writeAnswer(request, response, outgoing, { ...written, last: listener.isLast(connection) });
        const ms = performance.now() - started;
        app.metrics.observe(route.method, route.path, outgoing.status, ms / 1000, trace?.sampled ? trace.id : null);
        if (app.logger.isEnabled('debug')) {
          app.logger.debug(
            {
              route: name,
              status: outgoing.status,
              ms,
              request: facts.id,
              trace: facts.trace,
              workload: facts.workload,
            },
            'answered',
          );
        }
      })
      .catch((err: unknown) => {
        app.logger.warn({ err, route: name, request: facts.id }, 'an answer broke off');
        response.destroy();
      });
  };
}

/** What a query that failed means to who asked; every other error is itself. */
function ofPostgres(error: unknown): unknown {
  if (isPostgresAway(error) || isRolledBack(error))
    return problem('unavailable', { cause: error, retryAfterSeconds: 1 });
  if (isUnstorableText(error))
    return problem('invalid_input', { cause: error, fields: [{ field: 'body', rule: 'no_nul' }] });
  return error;
}

function outgoingFrom(released: object, how: 'recorded' | 'open'): Outgoing {
  const outgoing = outgoingOf(released, how);
  if (!outgoing) throw new TypeError('the handler returned something that was not released for it');
  return outgoing;
}

const pathOf = (url: string): string => {
  const at = url.indexOf('?');
  return at < 0 ? url : url.slice(0, at);
};

const EMPTY = Object.freeze({});

function queryOf(url: string): object {
  const at = url.indexOf('?');
  return at < 0 || at === url.length - 1 ? EMPTY : pairsOf(new URLSearchParams(url.slice(at + 1)), 'query');
}

// Express makes them without a prototype, and Postgres takes no NUL in text.
function plainParams(params: unknown): object {
  const plain = { ...(params as Record<string, string>) };
  for (const [name, value] of Object.entries(plain)) {
    if (value.includes('\0')) throw problem('invalid_input', { fields: [{ field: `params.${name}`, rule: 'no_nul' }] });
  }
  return plain;
}

function namedHeaders(schema: Route['params'], { headers }: IncomingMessage): object {
  const names = 'shape' in schema ? Object.keys(schema.shape as object) : [];
  return Object.fromEntries(names.filter((name) => headers[name] !== undefined).map((name) => [name, headers[name]]));
}
