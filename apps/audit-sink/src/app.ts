import { createHttpApp, group, type App, type AppSpec } from '@postern/http';
import { systemNow } from '@postern/runtime';
import type { CopyLives } from './erasure/erase-person.ts';
import { problems } from './problems.ts';
import { checkpoint, logKey, logKeys } from './routes/checkpoint.ts';
import { closeProducerRoute } from './routes/close-producer.ts';
import { countEvents } from './routes/count-events.ts';
import { AUDITOR, TENANT_ADMIN, type ReadLog } from './routes/deps.ts';
import { erasePersonRoute } from './routes/erase-person.ts';
import { eventReceipt } from './routes/event-receipt.ts';
import { exportRoute } from './routes/export-events.ts';
import { listEventsRoute } from './routes/list-events.ts';
import { producersRoute } from './routes/producers.ts';
import { consistency, inclusion } from './routes/proofs.ts';
import { pushIdentityEvents, type PushIdentityEvents } from './routes/push-identity-events.ts';
import { recordEvidence } from './routes/record-evidence.ts';
import { rotateKey } from './routes/rotate-key.ts';
import { streamEvents } from './routes/stream-events.ts';
import { tiles } from './routes/tiles.ts';
import { webhookRoutes, type Webhooks } from './routes/webhooks/index.ts';
import { watermark } from './routes/watermark.ts';

export const SERVICE = 'audit-sink';

/** What the routes need, and what the HTTP layer needs around them. */
export type AppDeps = ReadLog & {
  /** Services whose events the log takes. */
  producers: readonly string[];
  /** Null: no identity provider's events are taken. */
  identityEvents: PushIdentityEvents | null;
  /** Null: tenants have no webhooks. */
  webhooks: Webhooks | null;
  /** How long copies of what is erased live elsewhere (R28). */
  copyLives: CopyLives;
  /** A replica that is only a worker has no routes of its own. */
  serves: boolean;
  http: Omit<AppSpec, 'service' | 'routes' | 'problems'>;
};

/** The service as its routes. No I/O happens here. */
export function createApp({ http, producers, serves, copyLives, identityEvents, webhooks, ...log }: AppDeps): App {
  const workloads = http.workloads.workloads.map(({ name }) => name);
  const now = http.now ?? systemNow;
  // Streams end when the replica drains; the app that knows is made from them.
  const isDraining = async () => 'draining' in (await app.health.readiness()).checks;
  const auditor = { path: '/v1/events', ...AUDITOR };
  const tenantAdmin = { path: '/v1/tenant/events', ...TENANT_ADMIN };
  const routes = [
    ...group('Events', "The tenant's events: searched, counted, followed, exported, proved and erased.", [
      listEventsRoute(log, auditor),
      listEventsRoute(log, tenantAdmin),
      countEvents(log),
      streamEvents(log, isDraining),
      eventReceipt(log, auditor),
      eventReceipt(log, tenantAdmin),
      exportRoute(log),
      erasePersonRoute(log, copyLives, now),
    ]),
    ...group('Log', 'The tree behind the events: checkpoints, keys, tiles and proofs (C2SP, RFC 9162).', [
      checkpoint(log, workloads),
      logKey(log, workloads),
      logKeys(log, workloads),
      rotateKey(log),
      recordEvidence(log),
      ...tiles(log),
      inclusion(log),
      consistency(log),
    ]),
    ...group('Producers', 'The services whose events the log takes.', [
      producersRoute(log, producers),
      closeProducerRoute(log, producers, now),
      watermark(log, producers),
    ]),
    ...group('Sources', 'Events of identity providers.', [
      ...(identityEvents?.sources.keycloak.pushers.length ? [pushIdentityEvents(identityEvents)] : []),
    ]),
    ...group('Webhooks', 'Notifications to addresses of a tenant.', webhooks ? webhookRoutes(webhooks) : []),
  ];
  const app = createHttpApp({ ...http, service: SERVICE, problems, routes: serves ? routes : [] });
  return app;
}
