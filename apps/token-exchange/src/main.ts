import { listen } from '@postern/http';
import { runService } from '@postern/runtime';
import { compose } from './compose.ts';
import { readConfig } from './config.ts';

await runService({
  name: 'token-exchange',
  readConfig,
  async start(config, logger) {
    const service = await compose(config, { logger });
    try {
      const listening = await listen(service.app, { tls: service.tls, config: config.base.listen });
      return {
        urls: listening.urls,
        async close() {
          await listening.close();
          await service.close();
        },
      };
    } catch (error) {
      await service.close();
      throw error;
    }
  },
});
