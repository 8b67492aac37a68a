import { openBranchKeys, openRootKey } from '@postern/branch-keys';
import { openEndedTenants } from '@postern/branch-keys/destruction';
import { watchTlsMaterial } from '@postern/mtls';
import { openAudit, type AuditOptions } from '@postern/outbox';
import { openPostgres, type Postgres } from '@postern/postgres';
import { type Setting } from './setting.ts';

export type StateOptions = Pick<AuditOptions, 'guards' | 'counts'> & {
  /** Statements of one connection are sent without waiting for each other. */
  pipelined?: boolean;
};

type StateOf<Schema> = Awaited<ReturnType<typeof openServiceState<Schema>>>;

/** The state of any service, whatever its schema. */
export type ServiceState = Omit<StateOf<unknown>, 'postgres'> & {
  postgres: Pick<Postgres<unknown>, 'pool' | 'query' | 'check'>;
};
/** The state of a service with tables of its own. */
export type ServiceStateOf<Schema> = Omit<ServiceState, 'postgres'> & Pick<StateOf<Schema>, 'postgres'>;

/** What every service keeps, and by which it keeps it: certificate, Postgres, the record of its events, keys, and who has ended. */
export async function openServiceState<Schema>(
  { service, config, closing, profile, metrics, logger, now }: Setting,
  { pipelined, ...recorded }: StateOptions = {},
) {
  const { base, rootKey: at, branchKeys } = config;
  const tls = closing.after(await watchTlsMaterial(base.tls));
  const ofPool = { ...config.postgres, applicationName: service, ...(pipelined && { pipelined }) };
  const postgres = closing.after(await openPostgres<Schema>({ ...ofPool, tls, metrics }));
  const { query } = postgres;
  // R22: a commit stands on a quorum of the standbys from moderate on.
  const replication = profile.name === 'fedramp-low' ? 'any' : 'quorum';
  const record = { postgres, producer: service, replication, ...recorded, logger, metrics, now } as const;
  const audit = closing.after(await openAudit(record));
  const rootKey = closing.after(await openRootKey({ config: at, service, tls, logger }));
  const { cacheTtlMs, destroyedPath } = branchKeys;
  const ofKeys = { query, rootKey, environment: base.environment, service, cacheTtlMs, metrics, now };
  const keys = closing.after(await openBranchKeys(ofKeys));
  const endedTenants = closing.after(await openEndedTenants({ query, path: destroyedPath, logger, now }));
  return { tls, postgres, audit, rootKey, keys, endedTenants };
}
