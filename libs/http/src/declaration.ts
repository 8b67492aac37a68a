import type { Action } from '@postern/audit';
import type { Principal } from '@postern/oidc';
import type { RateTier } from '@postern/profile';
import type { Secret } from '@postern/runtime';
import type { z } from 'zod';
import type { RouteAudit } from './audit-port.ts';
import type { Answers, Released } from './released.ts';

export type ListenerName = 'api' | 'public' | 'management';
export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Who may call: exactly one of the three. */
export type Access<Scope extends string | undefined, Who extends 'workload' | 'anyone' | undefined> = {
  /** A bearer token of this service's audience with this scope. */
  readonly scope?: Scope;
  /** With `scope`: a role (R3) that is needed as well. */
  readonly role?: string;
  /** `workload`: the client certificate alone, of one of `workloads`. `anyone`: no guard; the handler authenticates what it must. */
  readonly access?: Who;
  readonly workloads?: readonly string[];
};

/** The request as far as a handler may see it. Raw headers and sockets stay outside. */
export type RequestFacts = {
  /** `X-Request-Id`, the caller's or a new UUID version 7. */
  readonly id: string;
  /** Trace id of W3C `traceparent`, 32 hex digits. */
  readonly trace: string | null;
  readonly listener: ListenerName;
  /** The address of the connection's other end. */
  readonly address: string;
  /** Workload (R4) and certificate of the connection; null on the public and management listeners. */
  readonly workload: string | null;
  readonly certificateThumbprint: string | null;
  /** The absolute URL without query, as a DPoP proof must name it (RFC 9449 `htu`). */
  readonly url: string;
  /** The `DPoP` header. */
  readonly dpop: string | null;
  /** The `Authorization` header of a route that authenticates its clients itself (`access: 'anyone'`). */
  readonly authorization: Secret | null;
  readonly cookies: ReadonlyMap<string, string>;
};

/**
 * The `Idempotency-Key` of a create. Store `key` in a unique column beside what is created, with `request`; on a conflict answer what
 * was created then, or throw Problem `idempotency_key_reused` when `request` differs.
 */
export type Idempotency = {
  /** SHA-256 over route, caller and header, base64url: says nothing about the caller's key. */
  readonly key: string;
  /** SHA-256 of the parsed request, base64url. */
  readonly request: string;
};

/** How a body is read. */
export type Consumes = 'json' | 'form' | 'bytes' | 'stream';

export type RouteInput<P, Q, B, H, Who, Caller> = {
  readonly principal: Caller;
  readonly workload: Who;
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly headers: H;
  readonly request: RequestFacts;
  readonly idempotency: Idempotency | null;
  /** 0 at first. 1 and up where a guarded read proved stale and the handler runs again: read past every cache then (R32). */
  readonly attempt: number;
};

export type Shape = z.ZodType;

export type RouteDeclaration<
  P extends Shape,
  Q extends Shape,
  B extends Shape,
  H extends Shape,
  R extends Answers,
  A extends Action | 'open',
  Scope extends string | undefined,
  Who extends 'workload' | 'anyone' | undefined,
> = Access<Scope, Who> & {
  readonly method: Method;
  /** Express path with named parameters: `/retrieve/:key`. */
  readonly path: string;
  readonly listener: ListenerName | readonly ListenerName[];
  /** One line for the API document, at most 120 characters. */
  readonly summary: string;
  /** What the summary does not say: effects, limits, units, the section of the standard. Markdown. Who may call and the errors are added. */
  readonly description?: string;
  /** The action that is recorded, or `open` for what records nothing (a frozen list, `open.ts`). */
  readonly audit: A;
  /** The profile's rate tier, per principal, workload or address. Absent: `standard` where anyone may call from outside, else none. */
  readonly tier?: RateTier;
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  /** Named headers the operation needs, lower case; others are ignored. */
  readonly headers?: H;
  /**
   * `form`: `application/x-www-form-urlencoded`, a repeated parameter becomes an array. `bytes`: the body as it came, of one of
   * the types of `Content`; its schema is `content`. `stream`: `application/octet-stream` of any length, given unread and without
   * `bodyLimit`; its schema is `byteStream`. Default `json`.
   */
  readonly consumes?: Consumes;
  /** Bytes. Default 64 KiB. */
  readonly bodyLimit?: number;
  /** Levels of nesting in a JSON body. Default 16. */
  readonly depthLimit?: number;
  /** `oauth`: errors as RFC 6749 section 5.2 instead of RFC 9457. */
  readonly errors?: 'problem' | 'oauth';
  readonly answers: R;
  /** The content type of a `stream` or `text` answer, for the API document. Default: `application/octet-stream`, `text/plain`. */
  readonly produces?: string;
  /** Codes of the application's problem table that the operation may throw; the guard's own need not be named. */
  readonly problems?: readonly string[];
  /** Whether an `Idempotency-Key` is taken, or even needed. */
  readonly idempotency?: 'accepted' | 'required';
  /** Left out of the API document. */
  readonly hidden?: boolean;
  /** Public and unchanging enough to be kept by caches; everything else is `no-store`. */
  readonly cacheControl?: string;
  readonly handle: (
    input: RouteInput<
      z.output<P>,
      z.output<Q>,
      z.output<B>,
      z.output<H>,
      Who extends 'workload' ? string : string | null,
      Scope extends string ? Principal : null
    >,
    audit: A extends Action ? RouteAudit<A, R> : null,
  ) => Promise<A extends Action ? Released : Released<'open'>> | (A extends Action ? never : Released<'open'>);
};

/** A heading of the API document, with what its routes are about. */
export type RouteGroup = { readonly name: string; readonly description: string };

/** A route as the rest of the library sees it, its types erased. Made by `route()` only. */
export type Route = {
  readonly method: Method;
  readonly path: string;
  readonly listeners: readonly ListenerName[];
  readonly summary: string;
  readonly description: string | undefined;
  /** Under which heading the API document has it; given by `group`. */
  readonly group: RouteGroup | undefined;
  readonly audit: Action | 'open';
  readonly tier: RateTier | undefined;
  readonly scope: string | undefined;
  readonly role: string | undefined;
  readonly access: 'token' | 'workload' | 'anyone';
  readonly workloads: readonly string[];
  readonly params: Shape;
  readonly query: Shape;
  readonly body: Shape | undefined;
  readonly headers: Shape | undefined;
  readonly consumes: Consumes;
  readonly bodyLimit: number;
  readonly depthLimit: number;
  readonly errors: 'problem' | 'oauth';
  readonly answers: Answers;
  readonly produces: string | undefined;
  readonly problems: readonly string[];
  readonly idempotency: 'accepted' | 'required' | undefined;
  readonly hidden: boolean;
  readonly cacheControl: string;
  readonly handle: (
    input: RouteInput<unknown, unknown, unknown, unknown, string | null, Principal | null>,
    audit: RouteAudit<Action, Answers> | null,
  ) => Promise<Released<'recorded' | 'open'>> | Released<'recorded' | 'open'>;
};
