import { type ComposedService } from '@postern/http';
import { profileNamed, underFips } from '@postern/profile';
import { closeInReverse, createRegistry, systemNow, type Logger, type Now } from '@postern/runtime';
import { type ServiceConfig } from './service-config.ts';
import { type Setting } from './setting.ts';

export type ServiceOptions = { logger: Logger; now?: Now };

/**
 * Opens everything a service stands on, in the order of `open`; what was opened is closed in reverse, by `close` and also when
 * a step fails.
 */
export async function openService<Config extends ServiceConfig, Opened extends Omit<ComposedService, 'close'>>(
  service: string,
  config: Config,
  { logger, now = systemNow }: ServiceOptions,
  open: (setting: Setting<Config>) => Promise<Opened>,
): Promise<Opened & Pick<ComposedService, 'close'>> {
  const { base } = config;
  const profile = base.fips ? underFips(profileNamed(base.profile)) : profileNamed(base.profile);
  const closing = closeInReverse();
  try {
    const opened = await open({ service, config, closing, profile, metrics: createRegistry(service), logger, now });
    return { ...opened, close: closing.close };
  } catch (error) {
    await closing.close();
    throw error;
  }
}
