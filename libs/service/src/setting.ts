import { type Profile } from '@postern/profile';
import { type Closing, type Logger, type Now, type Registry } from '@postern/runtime';
import { type ServiceConfig } from './service-config.ts';

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
