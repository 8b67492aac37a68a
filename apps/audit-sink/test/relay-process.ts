import { openBus } from '@postern/bus';
import { openAgent, watchTlsMaterial, type TlsPaths } from '@postern/mtls';
import { startRelay } from '@postern/outbox';
import { openPostgres } from '@postern/postgres';
import { createLogger, silentLogger } from '@postern/runtime';

/** What the test tells this process, in one variable. */
export type RelayProcess = {
  postgresUrl: string;
  sinkUrl: string;
  paths: TlsPaths;
  bus: { url: string; password: string; paths: TlsPaths };
  keepForSeconds: number;
};

// A relay in a process of its own, so that a test can kill it at any instant.
const told = process.env['RELAY'];
if (told !== undefined) {
  const { postgresUrl, sinkUrl, paths, bus, keepForSeconds } = JSON.parse(told) as RelayProcess;
  const tls = await watchTlsMaterial(paths);
  const postgres = await openPostgres({ url: postgresUrl, tls, poolSize: 3, applicationName: 'relay process' });
  const busTls = await watchTlsMaterial(bus.paths);
  const opened = await openBus({ ...bus, tls: busTls, service: 'crypto-store', logger: silentLogger() });
  const sink = { url: sinkUrl, dispatcher: openAgent(tls) };
  const logger = createLogger({ service: 'crypto-store', level: 'warn' });
  await startRelay({ postgres, producer: 'crypto-store', bus: opened, tls, sink, logger, keepForSeconds });
  process.send?.('ready');
}
