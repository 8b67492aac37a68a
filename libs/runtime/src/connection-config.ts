import { baseSettings } from './base-settings.ts';
import { migrationSettings, type busSettings, type postgresSettings } from './connection-settings.ts';
import type { Secret } from './secret.ts';
import { parseSettings, type Parsed } from './setting.ts';

export type TlsPaths = { readonly cert: string; readonly key: string; readonly ca: string };
export type PostgresConfig = { readonly url: string; readonly poolSize: number };
export type BusConfig = {
  readonly url: string;
  readonly password: Secret | undefined;
  readonly tls: TlsPaths;
  /** The log's pinned verifier key (R27). */
  readonly logKey: string | undefined;
};

/** The Postgres settings in the shape that `openPostgres` takes. */
export const postgresConfig = (read: Parsed<typeof postgresSettings>): PostgresConfig => ({
  url: read.POSTERN_POSTGRES_URL,
  poolSize: read.POSTERN_POSTGRES_POOL_SIZE,
});

/** The bus settings in the shape that `openBus` takes. The bus has a client authority of its own (R21). */
export const busConfig = (read: Parsed<typeof busSettings>): BusConfig => ({
  url: read.POSTERN_BUS_URL,
  password: read.POSTERN_BUS_PASSWORD,
  tls: {
    cert: read.POSTERN_BUS_TLS_CERT_PATH,
    key: read.POSTERN_BUS_TLS_KEY_PATH,
    ca: read.POSTERN_BUS_TLS_CA_PATH,
  },
  logKey: read.POSTERN_AUDIT_LOG_KEY,
});

/** What the migration entry point needs, and no more: it runs where the service's own secrets are not. */
const migrationOnly = {
  POSTERN_TLS_CERT_PATH: baseSettings.POSTERN_TLS_CERT_PATH,
  POSTERN_TLS_KEY_PATH: baseSettings.POSTERN_TLS_KEY_PATH,
  POSTERN_TLS_CA_PATH: baseSettings.POSTERN_TLS_CA_PATH,
  ...migrationSettings,
};

export type MigrationConfig = { readonly ownerUrl: string; readonly tls: TlsPaths };

/** The configuration of a service's migrations. @throws ConfigurationError listing every mistake */
export function readMigrationConfig(env: NodeJS.ProcessEnv): MigrationConfig {
  const read = parseSettings(migrationOnly, env);
  return {
    ownerUrl: read.POSTERN_POSTGRES_OWNER_URL,
    tls: { cert: read.POSTERN_TLS_CERT_PATH, key: read.POSTERN_TLS_KEY_PATH, ca: read.POSTERN_TLS_CA_PATH },
  };
}
