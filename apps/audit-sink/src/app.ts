import { createHttpApp, type App, type AppSpec } from '@postern/http';
import { problems } from './problems.ts';
import { checkpoint, logKey } from './routes/checkpoint.ts';
import { type ReadLog } from './routes/deps.ts';
import { eventReceipt } from './routes/event-receipt.ts';
import { listEventsRoute } from './routes/list-events.ts';
import { consistency, inclusion } from './routes/proofs.ts';
import { pushIdentityEvents, type PushIdentityEvents } from './routes/push-identity-events.ts';
import { watermark } from './routes/watermark.ts';

export const SERVICE = 'audit-sink';

/** What the routes need, and what the HTTP layer needs around them. */
export type AppDeps = ReadLog & {
  /** Services whose events the log takes. */
  producers: readonly string[];
  /** Null: no identity provider's events are taken. */
  identityEvents: PushIdentityEvents | null;
  /** A replica that is only a worker has no routes of its own. */
  serves: boolean;
  http: Omit<AppSpec, 'service' | 'routes' | 'problems'>;
};

/** The service as its routes. No I/O happens here. */
export function createApp({ http, producers, serves, identityEvents, ...log }: AppDeps): App {
  const workloads = http.workloads.workloads.map(({ name }) => name);
  const routes = [
    listEventsRoute(log),
    eventReceipt(log),
    checkpoint(log, workloads),
    logKey(log, workloads),
    inclusion(log),
    consistency(log),
    watermark(log, producers),
    ...(identityEvents?.sources.keycloak.pushers.length ? [pushIdentityEvents(identityEvents)] : []),
  ];
  return createHttpApp({ ...http, service: SERVICE, problems, routes: serves ? routes : [] });
}
