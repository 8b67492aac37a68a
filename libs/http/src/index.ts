export { route } from './route.ts';
export { group } from './group.ts';
export { content, contentOf, CONTENT_TYPES, type Content, type ContentType } from './content.ts';
export type {
  Consumes,
  Idempotency,
  ListenerName,
  Method,
  RequestFacts,
  Route,
  RouteDeclaration,
  RouteInput,
} from './declaration.ts';
export {
  noContent,
  type Answer,
  type AnswerKind,
  type Answers,
  type Bytes,
  type Page,
  type Redirect,
  type Released,
  type Stream,
} from './released.ts';
export { flag } from './flag.ts';
export { byteStream } from './byte-stream.ts';
export { open } from './open.ts';
export type { AuditGuard, AuditPort, Intent, MakeChange, RouteAudit, What, WhatRead } from './audit-port.ts';
export { routesOn, type App } from './app.ts';
export { createHttpApp, type AppSpec } from './create-app.ts';
export { jobRoutes, type JobRoutes } from './job-routes.ts';
export { listen, type ConnectionLimits, type Listening, type ListenOptions } from './listen.ts';
export { ownProblems, type ProblemEntry, type ProblemTable } from './problem-table.ts';
export { serve, type ComposedService } from './serve.ts';
export { createRateLimits, type RateLimitOptions, type RateLimits } from './rate-limits.ts';
export { createTenantRates, quotaOf, type TenantRates } from './tenant-quotas.ts';
export type { Check } from './health.ts';
