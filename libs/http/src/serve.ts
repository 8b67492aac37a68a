import type { TlsMaterial } from '@postern/mtls';
import { runService, type BaseConfig, type Logger } from '@postern/runtime';
import type { App } from './app.ts';
import { listen } from './listen.ts';

/** What a service's `compose` gives: its application, the certificate it answers with, and how to end it. */
export type ComposedService = { readonly app: App; readonly tls: TlsMaterial; close(): Promise<void> };

/** The whole of a service's `main.ts`: configuration, composition, three listeners, drain on a signal, exit code. */
export const serve = <Config extends { readonly base: BaseConfig }>(service: {
  readonly name: string;
  readonly readConfig: (env: NodeJS.ProcessEnv) => Config;
  readonly compose: (config: Config, also: { logger: Logger }) => Promise<ComposedService>;
}): Promise<void> =>
  runService({
    name: service.name,
    readConfig: service.readConfig,
    async start(config, logger) {
      const composed = await service.compose(config, { logger });
      try {
        const listening = await listen(composed.app, { tls: composed.tls, config: config.base.listen });
        return {
          urls: listening.urls,
          async close() {
            await listening.close();
            await composed.close();
          },
        };
      } catch (error) {
        await composed.close();
        throw error;
      }
    },
  });
