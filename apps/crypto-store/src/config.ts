import { trustTable, type TrustTable } from '@postern/oidc';
import {
  assertEnvironment,
  baseConfig,
  baseSettings,
  busSettings,
  cacheSettings,
  migrationSettings,
  parseSettings,
  postgresSettings,
  readDocument,
  rootKeyConfig,
  rootKeySettings,
  setting,
  type BaseConfig,
  type RootKeyConfig,
  type Secret,
} from '@postern/runtime';
import { z } from 'zod';

/** What the environment must give: this service's reference, from which the README's table is generated. */
export const settings = {
  ...baseSettings,
  ...postgresSettings,
  ...cacheSettings,
  ...busSettings,
  ...rootKeySettings,
  POSTERN_AUDIT_SINK_URL: setting(z.url({ protocol: /^https$/ }), 'Where the audit log answers (its api listener).', {
    example: 'https://audit-sink.example.internal:8443',
  }),
  POSTERN_CACHE_TTL_SECONDS: setting(
    z.coerce.number().int().min(1).max(86_400),
    'How long a sealed record stays in the cache.',
    { default: 300 },
  ),
};

export type Config = {
  readonly base: BaseConfig;
  readonly trust: TrustTable;
  readonly postgres: { readonly url: string; readonly poolSize: number };
  readonly cache: { readonly url: string; readonly password: Secret | undefined; readonly ttlSeconds: number };
  readonly bus: {
    readonly url: string;
    readonly password: Secret | undefined;
    readonly tls: { readonly cert: string; readonly key: string; readonly ca: string };
  };
  readonly rootKey: RootKeyConfig;
  readonly auditSinkUrl: string;
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
  return Object.freeze({
    base,
    trust,
    postgres: { url: read.POSTERN_POSTGRES_URL, poolSize: read.POSTERN_POSTGRES_POOL_SIZE },
    cache: {
      url: read.POSTERN_CACHE_URL,
      password: read.POSTERN_CACHE_PASSWORD,
      ttlSeconds: read.POSTERN_CACHE_TTL_SECONDS,
    },
    bus: {
      url: read.POSTERN_BUS_URL,
      password: read.POSTERN_BUS_PASSWORD,
      tls: {
        cert: read.POSTERN_BUS_TLS_CERT_PATH,
        key: read.POSTERN_BUS_TLS_KEY_PATH,
        ca: read.POSTERN_BUS_TLS_CA_PATH,
      },
    },
    rootKey,
    auditSinkUrl: read.POSTERN_AUDIT_SINK_URL,
  });
}

/** What the migration entry point needs, and no more: it runs where the service's own secrets are not. */
const migrationOnly = {
  POSTERN_TLS_CERT_PATH: baseSettings.POSTERN_TLS_CERT_PATH,
  POSTERN_TLS_KEY_PATH: baseSettings.POSTERN_TLS_KEY_PATH,
  POSTERN_TLS_CA_PATH: baseSettings.POSTERN_TLS_CA_PATH,
  ...migrationSettings,
};

export type MigrationConfig = {
  readonly ownerUrl: string;
  readonly tls: { readonly cert: string; readonly key: string; readonly ca: string };
};

/** @throws ConfigurationError listing every mistake. */
export function readMigrationConfig(env: NodeJS.ProcessEnv): MigrationConfig {
  const read = parseSettings(migrationOnly, env);
  return {
    ownerUrl: read.POSTERN_POSTGRES_OWNER_URL,
    tls: { cert: read.POSTERN_TLS_CERT_PATH, key: read.POSTERN_TLS_KEY_PATH, ca: read.POSTERN_TLS_CA_PATH },
  };
}
