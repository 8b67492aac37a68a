import { openBranchKeys, openRootKey } from '@postern/branch-keys';
import { openEndedTenants } from '@postern/branch-keys/destruction';
import { openRedis, watchTlsMaterial } from '@postern/mtls';
import { openAudit } from '@postern/outbox';
import { openPostgres } from '@postern/postgres';
import { type Profile } from '@postern/profile';
import { type Closing, type Logger, type Now, type Registry } from '@postern/runtime';
import { SERVICE } from './app.ts';
import { type Config } from './config.ts';
import { type Schema } from './db/schema.ts';
import { createRecordCache } from './records/record-cache.ts';
import { guards } from './records/record-guard.ts';
import { keyGuards } from './transit/key-guard.ts';

/** What every part of the service is opened with. */
export type Setting = {
  config: Config;
  closing: Pick<Closing, 'after'>;
  profile: Profile;
  metrics: Registry;
  logger: Logger;
  now: Now;
};

export type State = Awaited<ReturnType<typeof openState>>;

/** Tenants' keys that are loaded at the start, two calls to the root key each. */
const WARM_KEYS = 100;

/** What the service keeps, and by which it keeps it: certificate, Postgres, the record of events, keys and the cache. */
export async function openState({ config, closing, profile, metrics, logger, now }: Setting) {
  const { base } = config;
  const tls = closing.after(await watchTlsMaterial(base.tls));
  const postgres = closing.after(
    await openPostgres<Schema>({ ...config.postgres, tls, metrics, applicationName: SERVICE }),
  );
  const { query } = postgres;
  const audit = closing.after(
    await openAudit({
      postgres,
      replication: profile.name === 'fedramp-low' ? 'any' : 'quorum',
      producer: SERVICE,
      guards: { ...guards, ...keyGuards },
      logger,
      metrics,
      now,
    }),
  );
  const rootKey = closing.after(await openRootKey({ config: config.rootKey, service: SERVICE, tls, logger }));
  const { cacheTtlMs, destroyedPath } = config.branchKeys;
  const ofService = { environment: base.environment, service: SERVICE };
  const keys = closing.after(await openBranchKeys({ query, rootKey, ...ofService, now, cacheTtlMs, metrics }));
  const endedTenants = closing.after(await openEndedTenants({ query, path: destroyedPath, logger, now }));
  void keys.warmUp(WARM_KEYS).catch((err: unknown) => logger.warn({ err }, 'no keys were loaded ahead'));
  const { url, password, ttlSeconds } = config.cache;
  const redis = closing.after(await openRedis({ url, password: password?.reveal() ?? '', tls, name: SERVICE }));
  const cache = createRecordCache({ redis, ttlSeconds, logger, metrics, now });
  return { tls, postgres, audit, rootKey, keys, endedTenants, redis, cache };
}
