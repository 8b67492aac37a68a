import { type TrustTable } from '@postern/oidc';
import { type Profile } from '@postern/profile';
import {
  type BaseConfig,
  type BranchKeyConfig,
  type BusConfig,
  type Closing,
  type Logger,
  type Now,
  type PostgresConfig,
  type Registry,
  type RootKeyConfig,
} from '@postern/runtime';

/** What every service is configured with, beside what is its own. */
export type ServiceConfig = {
  readonly base: BaseConfig;
  readonly trust: TrustTable;
  readonly postgres: PostgresConfig;
  readonly bus: BusConfig;
  readonly rootKey: RootKeyConfig;
  readonly branchKeys: BranchKeyConfig;
};

/** What every part of a service is opened with. */
export type Setting<Config extends ServiceConfig = ServiceConfig> = {
  /** The service's name, as in its certificate. */
  service: string;
  config: Config;
  /** What is opened is added here, and closed in reverse. */
  closing: Pick<Closing, 'add' | 'after'>;
  profile: Profile;
  metrics: Registry;
  logger: Logger;
  now: Now;
};
