import { audienceKey, audiencesIn, type Audiences } from '../audiences.ts';
import { PosternError } from '../errors.ts';
import { traceHeader, type Traceparent } from '../traceparent.ts';
import { untilAborted } from '../until-aborted.ts';
import { awaitApproval } from './await-approval.ts';
import type { EnsureOptions } from './ensure-options.ts';
import { createHeldTokens } from './held-tokens.ts';
import { createScopeFetch, type FetchOptions } from './scope-fetch.ts';
import type { GrantedToken, TokenEndpoint } from './token-endpoint.ts';

/** Tokens of the least scope, at the moment it is needed: the same straight to Keycloak and through Postern. */
export type Scopes = {
  /**
   * A token that has the scope, or all of several (a list, or one string with spaces): the caller's own where it has them, else an exchanged one,
   * kept until shortly before it expires. Its signature, issuer, audiences and scopes were checked. The caller's own token is never replaced.
   * @throws PosternError with a code of `scopeErrorCodes`
   */
  ensureScope(scope: string | readonly string[], options?: EnsureOptions): Promise<string>;
  /**
   * A `fetch` for one origin that brings a token, and a wider one where the answer says which scope is lacking (RFC 6750, or a tool error of MCP or Llama
   * Stack): at most two steps up a request.
   */
  fetchFor(origin: string | URL, options?: FetchOptions): typeof fetch;
  /** Closes connections. */
  close(): Promise<void>;
};

export type ScopesOptions = {
  /** The caller's own token, or what gives it: asked at each use, so that a renewed one is used. */
  token: string | (() => string);
  /** The audience unless a call names another. */
  audience?: Audiences | undefined;
  timeoutMs?: number | undefined;
  /** A token is renewed when less than this is left of its life, in seconds; 30 unless given. */
  renewBeforeSeconds?: number | undefined;
  /** The W3C `traceparent` of the work under way, asked at each request. */
  traceparent?: Traceparent | undefined;
};

const TIMEOUT_MS = 10_000;
const RENEW_BEFORE_SECONDS = 30;

/** @internal Both ways have this one behaviour; they differ in the endpoint. */
export function openScopes(
  endpoint: TokenEndpoint,
  {
    token,
    audience: usual,
    timeoutMs = TIMEOUT_MS,
    renewBeforeSeconds = RENEW_BEFORE_SECONDS,
    traceparent,
  }: ScopesOptions,
  nowMs: () => number,
): Scopes {
  const held = createHeldTokens();
  const underWay = new Map<string, Promise<string>>();
  const own = typeof token === 'string' ? () => token : token;
  const renewBeforeMs = renewBeforeSeconds * 1000;

  /** The caller's own token, where it is verified to be enough: what it merely says about itself counts for nothing. */
  async function ownToken(
    subject: string,
    scopes: readonly string[],
    audiences: readonly string[],
  ): Promise<GrantedToken | null> {
    if (!endpoint.ownTokenServes) return null;
    const verified = await endpoint.verify(subject).catch((error: unknown) => {
      if (error instanceof PosternError && error.code === 'token_refused') return null;
      throw error;
    });
    if (verified === null || !scopes.every((scope) => verified.scopes.includes(scope))) return null;
    if (!audiences.every((one) => verified.audiences.includes(one))) return null;
    const left = verified.expiresAt.getTime() - nowMs();
    return left > renewBeforeMs ? { accessToken: subject, expiresInSeconds: left / 1000 } : null;
  }

  async function exchanged(
    subjectToken: string,
    scopes: readonly string[],
    audiences: readonly string[],
    options: EnsureOptions,
  ): Promise<GrantedToken> {
    const { justification } = options;
    const signal = AbortSignal.timeout(options.timeoutMs ?? timeoutMs);
    const headers = traceHeader(traceparent);
    const granted = await endpoint.exchange({ subjectToken, audiences, scopes, justification, headers, signal });
    const { scopes: has, audiences: reaches, expiresAt } = await endpoint.verify(granted.accessToken);
    const lacking = scopes.filter((scope) => !has.includes(scope));
    if (lacking.length > 0) {
      const detail = 'Token exchange gave a token without a scope that was asked for';
      throw new PosternError(endpoint.service, 'scope_denied', { requiredScopes: lacking, detail });
    }
    if (!audiences.every((one) => reaches.includes(one))) {
      throw new PosternError(endpoint.service, 'token_refused', { detail: 'it is for another audience' });
    }
    const seconds = (expiresAt.getTime() - nowMs()) / 1000;
    return { ...granted, expiresInSeconds: Math.min(granted.expiresInSeconds, seconds) };
  }

  async function obtain(name: string, subject: string, binding: string, options: EnsureOptions): Promise<string> {
    const audience = options.audience ?? usual;
    const audiences = audiencesIn(audience);
    const scopes = name.split(' ');
    const { accessToken, expiresInSeconds } =
      (await ownToken(subject, scopes, audiences)) ?? (await exchanged(subject, scopes, audiences, options));
    const life = expiresInSeconds * 1000;
    // A token that lives shorter than the margin is held for half its life.
    const renewAt = nowMs() + Math.max(life - renewBeforeMs, life / 2);
    held.hold(audienceKey(audience), name, { promise: Promise.resolve(accessToken), subject, binding, renewAt });
    return accessToken;
  }

  /** One exchange is under way for the same subject, audience, scopes and binding. */
  function obtainOnce(name: string, options: EnsureOptions): Promise<string> {
    const [subject, binding] = [own(), endpoint.binding()];
    const key = JSON.stringify([audienceKey(options.audience ?? usual), name, binding, subject]);
    const waiting = underWay.get(key) ?? obtain(name, subject, binding, options).finally(() => underWay.delete(key));
    underWay.set(key, waiting);
    return waiting;
  }

  function ensureScope(scope: string | readonly string[], options: EnsureOptions = {}): Promise<string> {
    // A single scope is its own canonical set, so what is held is found by the caller's very strings.
    const asked = typeof scope === 'string' ? scope : canonical(scope);
    const found = held.find(audienceKey(options.audience ?? usual), asked, own(), endpoint.binding(), nowMs());
    if (found) return found.promise;
    return untilAborted(widely(canonical([asked]), options), options.signal, endpoint.service);
  }

  async function widely(name: string, options: EnsureOptions): Promise<string> {
    if (name === '') throw new PosternError(endpoint.service, 'scope_denied', { detail: 'no scope was asked for' });
    const audience = options.audience ?? usual;
    const found = held.find(audienceKey(audience), name, own(), endpoint.binding(), nowMs());
    if (found) return found.promise;
    const { onApprovalPending: onPending, signal } = options;
    const exchange = () => obtainOnce(name, options);
    return onPending === undefined
      ? exchange()
      : awaitApproval(exchange, { audiences: audiencesIn(audience), onPending, signal });
  }

  return {
    ensureScope,
    fetchFor: (origin, options) =>
      createScopeFetch(
        {
          own,
          ensureScope,
          forget: (scopes, audience) => held.forget(audienceKey(audience ?? usual), canonical(scopes)),
          send: (url, init, accessToken) => endpoint.send(url, traced(init, traceHeader(traceparent)), accessToken),
        },
        new URL(origin).origin,
        options,
      ),
    close: () => endpoint.close(),
  };
}

/** A request in the caller's trace, unless it brings one itself. */
function traced(init: RequestInit, trace: Record<string, string>): RequestInit {
  const headers = new Headers(init.headers);
  for (const [name, value] of Object.entries(trace)) if (!headers.has(name)) headers.set(name, value);
  return { ...init, headers };
}

/** A set of scopes as one string: sorted, each once. */
const canonical = (scopes: readonly string[]): string =>
  [...new Set(scopes.flatMap((scope) => scope.split(' ')).filter(Boolean))].toSorted().join(' ');
