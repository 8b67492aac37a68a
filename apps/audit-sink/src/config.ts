import { ConfigurationError, parseSettings, path, readDocument, setting, type BaseConfig } from '@postern/runtime';
import { serviceConfig, serviceSettings, type ServiceConfig } from '@postern/service/config';
import { z } from 'zod';
import { forwardersDocument, type ForwardersConfig } from './forwarders/forwarders-config.ts';
import type { PublishTo } from './publication/open-place.ts';
import { RETENTION_DAYS } from './retention/retention.ts';
import { sourcesDocument, type SourcesConfig } from './sources/sources-config.ts';

/** Names with commas between them. */
const producers = z.string().regex(/^[a-z][a-z0-9-]{0,62}(,[a-z][a-z0-9-]{0,62}){0,63}$/);

/** What the environment must give: this service's reference, from which the README's table is generated. */
export const settings = {
  ...serviceSettings,
  POSTERN_AUDIT_PRODUCERS: setting(producers, 'Services whose events the log takes, separated by commas.', {
    default: 'audit-sink,auth-manager,crypto-store,key-proxy,token-exchange',
  }),
  POSTERN_AUDIT_ORIGIN: setting(
    z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9./-]{0,126}$/)
      .optional(),
    "The log's name, first line of every checkpoint. Never changed. Default: the trust domain, then `/audit`.",
    { example: 'example.internal/audit' },
  ),
  POSTERN_AUDIT_PUBLISH_TO: setting(
    z
      .string()
      .max(512)
      .regex(/^(file:\/\/\/[^?#]+|s3:\/\/[a-z0-9][a-z0-9.-]{1,62}(\/[A-Za-z0-9/_.-]*)?\?region=[a-z0-9-]+)$/)
      .optional(),
    'Where checkpoints and entries are published, outside the database (R27): a folder on another volume (`file:///...`) or a bucket (`s3://bucket/prefix?region=...`, as the role of the root key). Required above `fedramp-low`. A log that does not extend what is there is not appended to.',
    { example: 's3://audit-log/prod?region=eu-west-1' },
  ),
  POSTERN_SOURCES_PATH: setting(
    path.optional(),
    'JSON file that names the identity providers whose events are taken into the log. Without it: none.',
    { example: '/run/postern/sources.json' },
  ),
  POSTERN_FORWARDERS_PATH: setting(
    path.optional(),
    "JSON file that says where the log's events are forwarded to, and where tenants' webhooks may go. Without it: nowhere.",
    { example: '/run/postern/forwarders.json' },
  ),
  POSTERN_AUDIT_RETENTION_DAYS: setting(
    z.coerce.number().int().min(1).max(36_500).optional(),
    'How long events are kept, in whole tiles. Default and least: 365 days, 1095 in `fedramp-high`.',
    { example: '730' },
  ),
  POSTERN_AUDIT_BACKUP_DAYS: setting(
    z.coerce.number().int().min(0).max(3_650),
    'How long backups of this database and of its producers are kept: an erasure is complete after them (R28).',
    { default: 35 },
  ),
  POSTERN_AUDIT_ACCEPT_LOSS: setting(
    z.coerce.number().int().min(1).optional(),
    'After a restore: the size of the log whose missing events are given up, as the log names it when producers cannot send them again (R27).',
    { example: '1234' },
  ),
};

export type Config = ServiceConfig & {
  readonly producers: readonly string[];
  readonly origin: string;
  readonly publishTo: PublishTo | null;
  readonly acceptLoss: number | null;
  readonly retentionDays: number;
  readonly backupDays: number;
  readonly sources: SourcesConfig | null;
  readonly forwarders: ForwardersConfig | null;
};

/**
 * The configuration, frozen.
 * @throws ConfigurationError listing every mistake, with what this environment refuses (R6).
 */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const read = parseSettings(settings, env);
  const sourcesPath = read.POSTERN_SOURCES_PATH;
  const sources = sourcesPath === undefined ? null : readDocument('POSTERN_SOURCES_PATH', sourcesPath, sourcesDocument);
  const forwardersPath = read.POSTERN_FORWARDERS_PATH;
  const forwarders =
    forwardersPath === undefined ? null : readDocument('POSTERN_FORWARDERS_PATH', forwardersPath, forwardersDocument);
  const urls = Object.fromEntries([
    ...(sources?.keycloak.realms ?? []).map(({ issuer }, at) => [`POSTERN_SOURCES_PATH realms.${at}.issuer`, issuer]),
    ...(forwarders?.targets ?? []).map(({ url }, at) => [`POSTERN_FORWARDERS_PATH targets.${at}.url`, url]),
  ]) as Record<string, string>;
  const common = serviceConfig(read, { env, settings, urls });
  const { base, trust } = common;
  return Object.freeze({
    ...common,
    producers: read.POSTERN_AUDIT_PRODUCERS.split(','),
    publishTo: publishTo(common, read.POSTERN_AUDIT_PUBLISH_TO),
    acceptLoss: read.POSTERN_AUDIT_ACCEPT_LOSS ?? null,
    retentionDays: retentionDays(base, read.POSTERN_AUDIT_RETENTION_DAYS),
    backupDays: read.POSTERN_AUDIT_BACKUP_DAYS,
    sources,
    forwarders,
    origin: read.POSTERN_AUDIT_ORIGIN ?? `${trust.trustDomain}/audit`,
  });
}

/** @throws ConfigurationError where the profile asks for a place and none is named, or a bucket and no role (R27) */
function publishTo({ base: { profile }, rootKey }: ServiceConfig, url: string | undefined): PublishTo | null {
  if (url === undefined) {
    if (profile === 'fedramp-low') return null;
    throw new ConfigurationError([`POSTERN_AUDIT_PUBLISH_TO: ${profile} asks for a place outside the database (R27)`]);
  }
  if (url.startsWith('file:')) return { url };
  if (rootKey.kind === 'aws-kms') {
    const { roleArn, tokenSource, endpoint } = rootKey;
    return { url, aws: { roleArn, tokenSource, endpoint } };
  }
  throw new ConfigurationError([
    'POSTERN_AUDIT_PUBLISH_TO: a bucket is reached with the role of the `aws-kms` root key',
  ]);
}

/** @throws ConfigurationError for less than the profile asks for */
function retentionDays({ profile }: BaseConfig, days: number | undefined): number {
  const least = RETENTION_DAYS[profile];
  if (days !== undefined && days < least) {
    throw new ConfigurationError([`POSTERN_AUDIT_RETENTION_DAYS: ${profile} keeps events for ${least} days at least`]);
  }
  return days ?? least;
}
