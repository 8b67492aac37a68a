import { getFips } from 'node:crypto';
import { metricsText } from '@postern/runtime';
import { z } from 'zod';
import type { App } from './app.ts';
import type { ListenerName, Route } from './declaration.ts';
import { docsRoutes } from './docs.ts';
import { open } from './open.ts';
import { openApiDocument } from './openapi.ts';
import { route } from './route.ts';

const health = z.strictObject({
  status: z.enum(['ok', 'unready']),
  checks: z.record(z.string(), z.enum(['ok', 'failing'])),
  took_ms: z.record(z.string(), z.number()).describe('milliseconds that each part took to answer'),
  without: z.record(z.string(), z.string()).optional().describe('what the service does while that part is away'),
});
const BOTH: readonly ListenerName[] = ['management', 'api'];

type Operations = { readonly app: App; readonly routes: readonly Route[]; readonly environment: string | undefined };

/** What every service answers beside its own routes: health, version, metrics and its documentation. */
export function operationsRoutes({ app, routes, environment }: Operations): Route[] {
  const common = { method: 'GET', access: 'anyone', audit: 'open', hidden: true } as const;
  const readiness = async () => {
    const { ready, checks, tookMs, without } = await app.health.readiness();
    const modes = Object.keys(without).length > 0 ? { without } : {};
    return open({
      status: ready ? 200 : 503,
      body: { status: ready ? 'ok' : 'unready', checks, took_ms: tookMs, ...modes },
    });
  };
  let document: string | undefined;

  return [
    route({
      ...common,
      path: '/health',
      summary: 'Whether this replica is ready, part by part',
      listener: BOTH,
      answers: { 200: health, 503: health },
      handle: readiness,
    }),
    route({
      ...common,
      path: '/health/ready',
      summary: 'Whether this replica is ready, part by part',
      listener: 'management',
      answers: { 200: health, 503: health },
      handle: readiness,
    }),
    route({
      ...common,
      path: '/health/live',
      summary: 'Whether the process answers',
      listener: 'management',
      answers: { 200: z.strictObject({ status: z.literal('ok') }) },
      handle: () => open({ status: 200, body: { status: 'ok' } }),
    }),
    route({
      ...common,
      path: '/version',
      summary: 'Version, profile and environment',
      listener: BOTH,
      answers: { 200: z.looseObject({}) },
      handle: () =>
        open({
          status: 200,
          body: {
            service: app.service,
            version: app.version,
            profile: app.profile.name,
            environment,
            node: process.version,
            fips: getFips() === 1,
          },
        }),
    }),
    route({
      ...common,
      path: '/metrics',
      summary: 'Metrics in the text format of Prometheus, or as OpenMetrics',
      listener: 'management',
      headers: z.object({ accept: z.string().max(1_024).optional() }),
      answers: { 200: 'text' },
      handle: async ({ headers }) => open({ status: 200, ...(await metricsText(app.registry, headers.accept)) }),
    }),
    route({
      ...common,
      path: '/openapi.json',
      summary: 'The API document',
      listener: BOTH,
      answers: { 200: z.looseObject({}) },
      handle: () =>
        open({
          status: 200,
          text: (document ??= JSON.stringify(openApiDocument(app, routes))),
          contentType: 'application/json',
        }),
    }),
    ...docsRoutes(app.service),
  ];
}
