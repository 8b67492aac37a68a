import { trustTable, type TrustTable } from '@postern/oidc';
import {
  assertEnvironment,
  baseConfig,
  baseSettings,
  busSettings,
  migrationSettings,
  parseSettings,
  postgresSettings,
  readDocument,
  rootKeyConfig,
  rootKeySettings,
  type BaseConfig,
  type RootKeyConfig,
  type Secret,
} from '@postern/runtime';

/** What the environment must give: this service's reference, from which the README's table is generated. */
export const settings = { ...baseSettings, ...postgresSettings, ...busSettings, ...rootKeySettings };

export type Config = {
  readonly base: BaseConfig;
  readonly trust: TrustTable;
  readonly postgres: { readonly url: string; readonly poolSize: number };
  readonly bus: {
    readonly url: string;
    readonly password: Secret | undefined;
    readonly tls: { readonly cert: string; readonly key: string; readonly ca: string };
  };
  readonly rootKey: RootKeyConfig;
};

/**
 * The configuration, frozen.
 * @throws ConfigurationError listing every mistake, with what this environment refuses (R6).
 */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const read = parseSettings(settings, env);
  const base = baseConfig(read);
  const trust = readDocument('POSTERN_TRUST_PATH', base.trustPath, trustTable);
  const rootKey = rootKeyConfig(read);
  assertEnvironment({
    base,
    env,
    settings,
    trust,
    rootKey: { kind: rootKey.kind, waiver: read.POSTERN_ROOT_KEY_WAIVER },
  });
  return Object.freeze({
    base,
    trust,
    postgres: { url: read.POSTERN_POSTGRES_URL, poolSize: read.POSTERN_POSTGRES_POOL_SIZE },
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
