import { watchTlsMaterial, type TlsPaths } from '@postern/mtls';
import { openAudit } from '@postern/outbox';
import { openPostgres } from '@postern/postgres';
import { silentLogger } from '@postern/runtime';
import { event } from './world.ts';

/** What the test tells this process, in one variable. */
export type ProducerProcess = { postgresUrl: string; paths: TlsPaths };

// A producer in a process of its own, so that a test can kill it at any instant. It says which events were acknowledged.
const told = process.env['PRODUCER'];
if (told !== undefined) {
  const { postgresUrl, paths } = JSON.parse(told) as ProducerProcess;
  const tls = await watchTlsMaterial(paths);
  const postgres = await openPostgres({ url: postgresUrl, tls, poolSize: 3, applicationName: 'producer process' });
  const audit = await openAudit({ postgres, producer: 'crypto-store', logger: silentLogger() });
  const caller = async () => {
    for (;;) {
      const one = event();
      const written = await audit.commit(one).catch(() => false);
      if (written) process.send?.({ acknowledged: one.id });
    }
  };
  process.send?.('ready');
  await Promise.all(Array.from({ length: 8 }, caller));
}
