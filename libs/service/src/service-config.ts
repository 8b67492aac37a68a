import { trustTable, type TrustTable } from '@postern/oidc';
import {
  assertEnvironment,
  baseConfig,
  baseSettings,
  branchKeyConfig,
  branchKeySettings,
  busConfig,
  busSettings,
  postgresConfig,
  postgresSettings,
  readDocument,
  rootKeyConfig,
  rootKeySettings,
  type BaseConfig,
  type BranchKeyConfig,
  type BusConfig,
  type EnvironmentFacts,
  type Parsed,
  type PostgresConfig,
  type RootKeyConfig,
} from '@postern/runtime';

/** What the environment must give every service. */
export const serviceSettings = {
  ...baseSettings,
  ...postgresSettings,
  ...busSettings,
  ...rootKeySettings,
  ...branchKeySettings,
};

/** What every service is configured with, beside what is its own. */
export type ServiceConfig = {
  readonly base: BaseConfig;
  readonly trust: TrustTable;
  readonly postgres: PostgresConfig;
  readonly bus: BusConfig;
  readonly rootKey: RootKeyConfig;
  readonly branchKeys: BranchKeyConfig;
};

/**
 * The part of a configuration that all services have.
 * @param facts the environment with all settings of the service, and the addresses that they name, which production refuses some of (R6)
 * @throws ConfigurationError listing every mistake of the trust table, or everything that this environment refuses
 */
export function serviceConfig(
  read: Parsed<typeof serviceSettings>,
  facts: Pick<EnvironmentFacts, 'env' | 'settings' | 'urls'>,
): ServiceConfig {
  const base = baseConfig(read);
  const trust = readDocument('POSTERN_TRUST_PATH', base.trustPath, trustTable);
  const rootKey = rootKeyConfig(read);
  const waived = { kind: rootKey.kind, waiver: read.POSTERN_ROOT_KEY_WAIVER };
  assertEnvironment({ ...facts, base, trust, rootKey: waived });
  const [postgres, bus, branchKeys] = [postgresConfig(read), busConfig(read), branchKeyConfig(read)];
  return { base, trust, postgres, bus, rootKey, branchKeys };
}
