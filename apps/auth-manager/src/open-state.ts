import { openBranchKeys, openRootKey } from '@postern/branch-keys';
import { openEndedTenants } from '@postern/branch-keys/destruction';
import { openIssuer } from '@postern/issuer';
import { watchTlsMaterial } from '@postern/mtls';
import { openAudit } from '@postern/outbox';
import { openPostgres } from '@postern/postgres';
import type { Profile } from '@postern/profile';
import type { Closing, Logger, Now, Registry } from '@postern/runtime';
import { SERVICE } from './app.ts';
import type { Config } from './config.ts';
import type { Schema } from './db/schema.ts';
import { counts, guards } from './grants/handle-guard.ts';
import { openVault } from './grants/vault.ts';

/** What every part of the service is opened with. */
export type Setting = {
  config: Config;
  closing: Pick<Closing, 'add' | 'after'>;
  profile: Profile;
  metrics: Registry;
  logger: Logger;
  now: Now;
};

export type State = Awaited<ReturnType<typeof openState>>;

/** What the service keeps, and by which it keeps it: certificate, Postgres, the record of events, keys, and what it signs with. */
export async function openState({ config, closing, profile, metrics, logger, now }: Setting) {
  const { base, publicUrl } = config;
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
      counts,
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
  const vault = openVault(keys);
  const issuer = closing.after(
    await openIssuer({ query, seal: vault.service, issuer: publicUrl, kinds: ['grant+jwt'], profile, now }),
  );
  return { tls, postgres, audit, rootKey, keys, endedTenants, vault, issuer };
}
