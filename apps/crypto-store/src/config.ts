import { cacheSettings, ConfigurationError, parseSettings, setting, type Secret } from '@postern/runtime';
import { serviceConfig, serviceSettings, type ServiceConfig } from '@postern/service/config';
import { z } from 'zod';

/** What somebody needs to notice a destruction that nobody wanted. */
const LEAST_WAIT_HOURS = 24;

/** What the environment must give: this service's reference, from which the README's table is generated. */
export const settings = {
  ...serviceSettings,
  ...cacheSettings,
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

export type Config = ServiceConfig & {
  readonly cache: { readonly url: string; readonly password: Secret | undefined; readonly ttlSeconds: number };
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
  const urls = { POSTERN_AUDIT_SINK_URL: read.POSTERN_AUDIT_SINK_URL };
  const common = serviceConfig(read, { env, settings, urls });
  if (common.base.environment === 'production' && read.POSTERN_DESTRUCTION_WAIT_HOURS < LEAST_WAIT_HOURS) {
    throw new ConfigurationError([`POSTERN_DESTRUCTION_WAIT_HOURS: production waits at least ${LEAST_WAIT_HOURS}`]);
  }
  return Object.freeze({
    ...common,
    cache: {
      url: read.POSTERN_CACHE_URL,
      password: read.POSTERN_CACHE_PASSWORD,
      ttlSeconds: read.POSTERN_CACHE_TTL_SECONDS,
    },
    auditSinkUrl: read.POSTERN_AUDIT_SINK_URL,
    keepVersions: read.POSTERN_RECORD_VERSIONS,
    destructionWaitHours: read.POSTERN_DESTRUCTION_WAIT_HOURS,
    backupDays: read.POSTERN_BACKUP_DAYS,
    deletedDays: read.POSTERN_RECORD_DELETED_DAYS,
  });
}
