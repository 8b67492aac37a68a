export { Secret } from './secret.ts';
export { Problem, problem, type ProblemField, type ProblemOptions } from './problem.ts';
export { systemNow, type Now } from './now.ts';
export { uuidv7 } from './uuid.ts';
export { networkOf } from './network-of.ts';
export { closeInReverse, type Closing } from './closing.ts';
export { gather } from './gather.ts';
export {
  ConfigurationError,
  flag,
  parseSettings,
  path,
  setting,
  type Parsed,
  type Setting,
  type SettingOptions,
  type Settings,
} from './setting.ts';
export { baseConfig, baseSettings, type BaseConfig } from './base-settings.ts';
export { busSettings, cacheSettings, postgresSettings } from './connection-settings.ts';
export { rootKeyConfig, rootKeySettings, type RootKeyConfig } from './root-key-settings.ts';
export { branchKeyConfig, branchKeySettings, type BranchKeyConfig } from './branch-key-settings.ts';
export { readDocument } from './document.ts';
export { assertEnvironment, type EnvironmentFacts } from './environment.ts';
export { settingsReference } from './reference.ts';
export {
  createLogger,
  silentLogger,
  type Logger,
  type LoggerOptions,
  type LogFields,
  type LogLevel,
} from './logger.ts';
export { Counter, createRegistry, Gauge, Histogram, metricsText, type Registry } from './metrics.ts';
export { currentTrace, type CurrentTrace } from './trace.ts';
export { runService, type Running, type ServiceProcess } from './run-service.ts';
export { runTask } from './run-task.ts';
export { startRounds, type Round } from './start-rounds.ts';
export {
  busConfig,
  postgresConfig,
  readMigrationConfig,
  type BusConfig,
  type MigrationConfig,
  type PostgresConfig,
  type TlsPaths,
} from './connection-config.ts';
