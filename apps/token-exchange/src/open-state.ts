import { openBranchKeys, openRootKey, sealerFor } from '@postern/branch-keys';
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
import { openPolicyStore } from './policy/policy-store.ts';

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

/** Whose branch keys seal what is no tenant's: the signing keys. */
const NO_TENANT = 'postern';

/** What the service keeps, and by which it keeps it: certificate, Postgres, the record of events, keys, issuer and policy. */
export async function openState({ config, closing, profile, registry: metrics, logger, now }: Setting) {
  const { base } = config;
  const tls = closing.after(await watchTlsMaterial(base.tls));
  const postgres = closing.after(
    await openPostgres<Schema>({ ...config.postgres, tls, metrics, applicationName: SERVICE }),
  );
  const { query, db } = postgres;
  const replication = profile.name === 'fedramp-low' ? 'any' : 'quorum';
  const audit = closing.after(await openAudit({ postgres, replication, producer: SERVICE, logger, metrics, now }));
  const rootKey = closing.after(await openRootKey({ config: config.rootKey, service: SERVICE, tls, logger }));
  const { cacheTtlMs, destroyedPath } = config.branchKeys;
  const ofService = { environment: base.environment, service: SERVICE };
  const keys = closing.after(await openBranchKeys({ query, rootKey, ...ofService, now, cacheTtlMs, metrics }));
  const endedTenants = closing.after(await openEndedTenants({ query, path: destroyedPath, logger, now }));
  const seal = sealerFor(keys, { tenant: NO_TENANT, purpose: 'service-secrets' });
  const issuer = closing.after(
    await openIssuer({ query, seal, issuer: config.issuer, kinds: ['at+jwt'], profile, now }),
  );
  const policies = await openPolicyStore({
    query,
    inTransaction: (work) => db.transaction().execute(work),
    file: config.policy,
    now,
  });
  return { tls, postgres, audit, rootKey, keys, endedTenants, issuer, policies };
}
