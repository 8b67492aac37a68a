import { trustTable, type TrustTable } from '@postern/oidc';
import {
  assertEnvironment,
  ConfigurationError,
  baseConfig,
  baseSettings,
  busConfig,
  busSettings,
  cacheSettings,
  parseSettings,
  postgresConfig,
  postgresSettings,
  readDocument,
  branchKeyConfig,
  branchKeySettings,
  rootKeyConfig,
  rootKeySettings,
  type BranchKeyConfig,
  setting,
  type BaseConfig,
  type BusConfig,
  type PostgresConfig,
  type RootKeyConfig,
  type Secret,
} from '@postern/runtime';
import { z } from 'zod';

/** What somebody needs to notice a destruction that nobody wanted. */
const LEAST_WAIT_HOURS = 24;

/** What the environment must give: this service's reference, from which the README's table is generated. */
export const settings = {
  ...baseSettings,
  ...postgresSettings,
  ...cacheSettings,
  ...busSettings,
  ...rootKeySettings,
  ...branchKeySettings,
  POSTERN_AUDIT_SINK_URL: setting(z.url({ protocol: /^https$/ }), 'Where the audit log answers (its api listener).', {
    example: 'https://audit-sink.example.internal:8443',
  }),
  POSTERN_CACHE_TTL_SECONDS: setting(
    z.coerce.number().int().min(1).max(86_400),
    'How long a sealed record stays in the cache.',
    { default: 300 },
  ),
  POSTERN_DESTRUCTION_WAIT_HOURS: setting(
    z.coerce.number().int().min(0).max(8_760),
    "Between the second administrator's approval and the end of a tenant's keys. In production at least 24.",
    { default: 168 },
  ),
  POSTERN_BACKUP_DAYS: setting(
    z.coerce.number().int().min(0).max(3_650),
    "How long backups of any service's database are kept: a destruction is complete when the last of them has expired.",
    { default: 35 },
  ),
  POSTERN_RECORD_VERSIONS: setting(
    z.coerce.number().int().min(1).max(64),
    'Versions of a record that are kept, where a write does not say.',
    { default: 10 },
  ),
  POSTERN_RECORD_DELETED_DAYS: setting(
    z.coerce.number().int().min(0).max(3_650),
    'Days for which what was deleted can be restored; then it is destroyed.',
    { default: 30 },
  ),
};

export type Config = {
  readonly base: BaseConfig;
  readonly trust: TrustTable;
  readonly postgres: PostgresConfig;
  readonly cache: { readonly url: string; readonly password: Secret | undefined; readonly ttlSeconds: number };
  readonly bus: BusConfig;
  readonly rootKey: RootKeyConfig;
  readonly branchKeys: BranchKeyConfig;
  readonly auditSinkUrl: string;
  readonly keepVersions: number;
  readonly destructionWaitHours: number;
  readonly backupDays: number;
  readonly deletedDays: number;
};

/**
 * The configuration, frozen.
 * @throws ConfigurationError listing every mistake, with what this environment refuses (R6).
 */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const read = parseSettings(settings, env);
  const base = baseConfig(read);
  const trust = readDocument('POSTERN_TRUST_PATH', base.trustPath, trustTable);
  const urls = { POSTERN_AUDIT_SINK_URL: read.POSTERN_AUDIT_SINK_URL };
  const rootKey = rootKeyConfig(read);
  const waived = { kind: rootKey.kind, waiver: read.POSTERN_ROOT_KEY_WAIVER };
  assertEnvironment({ base, env, settings, trust, urls, rootKey: waived });
  if (base.environment === 'production' && read.POSTERN_DESTRUCTION_WAIT_HOURS < LEAST_WAIT_HOURS) {
    throw new ConfigurationError([`POSTERN_DESTRUCTION_WAIT_HOURS: production waits at least ${LEAST_WAIT_HOURS}`]);
  }
  return Object.freeze({
    base,
    trust,
    postgres: postgresConfig(read),
    cache: {
      url: read.POSTERN_CACHE_URL,
      password: read.POSTERN_CACHE_PASSWORD,
      ttlSeconds: read.POSTERN_CACHE_TTL_SECONDS,
    },
    bus: busConfig(read),
    rootKey,
    branchKeys: branchKeyConfig(read),
    auditSinkUrl: read.POSTERN_AUDIT_SINK_URL,
    keepVersions: read.POSTERN_RECORD_VERSIONS,
    destructionWaitHours: read.POSTERN_DESTRUCTION_WAIT_HOURS,
    backupDays: read.POSTERN_BACKUP_DAYS,
    deletedDays: read.POSTERN_RECORD_DELETED_DAYS,
  });
}
