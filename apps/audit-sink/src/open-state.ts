import { openBranchKeys, openRootKey, sealerFor } from '@postern/branch-keys';
import { openEndedTenants } from '@postern/branch-keys/destruction';
import { watchTlsMaterial } from '@postern/mtls';
import { openAudit } from '@postern/outbox';
import { openPostgres } from '@postern/postgres';
import { type Profile } from '@postern/profile';
import { type Closing, type Logger, type Now, type Registry } from '@postern/runtime';
import { SERVICE } from './app.ts';
import { type Config } from './config.ts';
import { followCheckpointKey } from './log/checkpoint-key.ts';
import { createPseudonyms } from './subjects/pseudonyms.ts';
import { createSubjects, NO_TENANT } from './subjects/subjects.ts';

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

/** What the service keeps, and by which it keeps it: certificate, Postgres, its own events, keys, and the key that signs the log. */
export async function openState({ config, closing, profile, metrics, logger, now }: Setting) {
  const { base } = config;
  const tls = closing.after(await watchTlsMaterial(base.tls));
  const postgres = closing.after(
    await openPostgres({ ...config.postgres, tls, metrics, applicationName: SERVICE, pipelined: true }),
  );
  const { query } = postgres;
  const audit = closing.after(
    await openAudit({
      postgres,
      replication: profile.name === 'fedramp-low' ? 'any' : 'quorum',
      producer: SERVICE,
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
  const sealer = sealerFor(keys, { tenant: NO_TENANT, purpose: 'service-secrets' });
  const subjects = createSubjects(query, keys, now);
  const pseudonymOf = createPseudonyms(sealer);
  const key = await followCheckpointKey(query, sealer, { origin: config.origin, fips: base.fips });
  return { tls, postgres, audit, rootKey, keys, endedTenants, subjects, pseudonymOf, key };
}
