import { openBranchKeys, openRootKey } from '@postern/branch-keys';
import { openEndedTenants } from '@postern/branch-keys/destruction';
import { openAgent, watchTlsMaterial } from '@postern/mtls';
import { openAudit } from '@postern/outbox';
import { openPostgres } from '@postern/postgres';
import { type Profile } from '@postern/profile';
import { type Closing, type Logger, type Now, type Registry } from '@postern/runtime';
import { SERVICE } from './app.ts';
import { type Config } from './config.ts';
import { type Schema } from './db/schema.ts';
import { guards } from './secrets/secret-guard.ts';

/** What every part of the service is opened with. */
export type Setting = {
  config: Config;
  closing: Pick<Closing, 'after'>;
  profile: Profile;
  registry: Registry;
  logger: Logger;
  now: Now;
};

export type State = Awaited<ReturnType<typeof openState>>;

/** What the service keeps, and by which it keeps it: certificate, Postgres, the record of events and keys; and the way to the others. */
export async function openState({ config, closing, profile, registry, logger, now }: Setting) {
  const { base } = config;
  const metrics = registry;
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
      guards,
      logger,
      metrics,
      now,
    }),
  );
  const rootKey = closing.after(await openRootKey({ config: config.rootKey, service: SERVICE, tls, logger }));
  const { cacheTtlMs, destroyedPath } = config.branchKeys;
  const ofService = { environment: base.environment, service: SERVICE };
  const branchKeys = closing.after(await openBranchKeys({ query, rootKey, ...ofService, now, cacheTtlMs, metrics }));
  const endedTenants = closing.after(await openEndedTenants({ query, path: destroyedPath, logger, now }));
  const peers = closing.after(openAgent(tls));
  return { tls, postgres, audit, rootKey, branchKeys, endedTenants, peers };
}
