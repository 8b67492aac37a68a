import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { openEgress } from '@postern/egress';
import type { TlsMaterial } from '@postern/mtls';
import { withLease, type Postgres, type Query } from '@postern/postgres';
import { ConfigurationError, type Now } from '@postern/runtime';
import { openAdminApi, PAGE_MAX_BYTES, type ReadPage } from './keycloak/admin-api.ts';
import { pollEvents, type PollEvents } from './keycloak/poll-events.ts';
import { sourceOf } from './keycloak/record-events.ts';
import type { KeycloakRealm, SourcesConfig } from './sources-config.ts';

export type StartSources = Omit<PollEvents, 'postgres'> & {
  config: SourcesConfig;
  postgres: Pick<Postgres<unknown>, 'db' | 'query' | 'pool'>;
  tls: Pick<TlsMaterial, 'current'>;
};

/** Between two attempts at the lease of another replica. */
const FOLLOW_MS = 1_000;
const FORGET_EVERY_MS = 3_600_000;
/** An event may be pushed so long after its time and is still recognised as known. Longer than any provider keeps events. */
export const REMEMBERED_DAYS = 30;

/** Polls every realm that is to be polled, from one replica at a time. */
export function startSources(deps: StartSources): { close(): Promise<void> } {
  const { config, logger, now } = deps;
  const { realms, caPath } = config.keycloak;
  const polled = realms.filter(({ poll }) => poll !== undefined);
  const egress = openEgress({
    allow: polled.map(({ issuer }) => new URL(issuer).host),
    publicAddresses: false,
    listedAuthorities: authorities(caPath, deps.tls),
    maxBytes: PAGE_MAX_BYTES,
  });
  const stop = new AbortController();
  const sources = polled.map((realm) => ({ realm, read: openAdminApi(realm, { egress, now }) }));

  const lead = async (over: () => boolean) => {
    const ended = () => stop.signal.aborted || over();
    await Promise.all([
      ...sources.map((source) => follow(deps, source, stop.signal, ended)),
      forgetOften(deps, stop.signal, ended),
    ]);
  };
  const run = async () => {
    while (!stop.signal.aborted) {
      await withLease(deps.postgres.pool, 'audit-sink sources', ({ over }) => lead(over)).catch((err: unknown) =>
        logger.warn({ err }, 'the sources start again'),
      );
      await pause(FOLLOW_MS, stop.signal);
    }
  };
  const running = run();
  return {
    async close() {
      stop.abort();
      await running;
      await egress.close();
    },
  };
}

async function follow(
  deps: StartSources,
  { realm, read }: { realm: KeycloakRealm; read: ReadPage },
  stop: AbortSignal,
  ended: () => boolean,
): Promise<void> {
  const { metrics, logger, now } = deps;
  while (!ended()) {
    for (const kind of ['user', 'admin'] as const) {
      if (ended()) break;
      const source = sourceOf(realm, kind);
      try {
        await pollEvents(deps, realm, kind, read, ended);
        metrics.polls.inc({ source, result: 'read' });
        metrics.polled.set({ source }, now().getTime() / 1_000);
      } catch (err) {
        metrics.polls.inc({ source, result: 'failed' });
        logger.warn({ err, provider: source }, 'the provider was not read');
      }
    }
    await pause((realm.poll?.everySeconds ?? 10) * 1_000, stop);
  }
  for (const kind of ['user', 'admin'] as const) metrics.polled.remove({ source: sourceOf(realm, kind) });
}

async function forgetOften(deps: StartSources, stop: AbortSignal, ended: () => boolean): Promise<void> {
  while (!ended()) {
    await forgetSeen(deps.postgres.query, deps.now).catch((err: unknown) =>
      deps.logger.warn({ err }, 'events that were seen long ago were not forgotten'),
    );
    for (let waited = 0; waited < FORGET_EVERY_MS && !ended(); waited += FOLLOW_MS) await pause(FOLLOW_MS, stop);
  }
}

/**
 * Forgets which events were seen where neither way can bring them again: older than is taken by the push route, and
 * behind what polling will still look at.
 */
export async function forgetSeen(query: Query, now: Now): Promise<void> {
  const before = new Date(now().getTime() - REMEMBERED_DAYS * 86_400_000);
  await query(
    `delete from source_events e where e.at < $1
       and not exists (select from source_cursors c where c.source = e.source and e.at >= c.at - interval '1 hour')`,
    [before],
  );
}

function authorities(caPath: string | undefined, tls: Pick<TlsMaterial, 'current'>): () => string {
  if (caPath === undefined) return () => tls.current().ca;
  try {
    const pem = readFileSync(caPath, 'utf8');
    return () => pem;
  } catch {
    throw new ConfigurationError(['POSTERN_SOURCES_PATH: caPath cannot be read']);
  }
}

const pause = (ms: number, stop: AbortSignal): Promise<void> =>
  sleep(ms, undefined, { signal: stop }).catch(() => undefined);
