import { writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { newEvent, type AuditEvent } from '@postern/audit';
import { openBus } from '@postern/bus';
import { openAgent, watchTlsMaterial } from '@postern/mtls';
import { openAudit, startRelay } from '@postern/outbox';
import { openPostgres } from '@postern/postgres';
import { createLogger } from '@postern/runtime';
import { TRIED, type ProducerTold } from './producer-told.ts';

const CALLERS = 50;
const BACK_OFF_MS = 20;
const STDOUT = 1;

const readEvent = (): AuditEvent =>
  newEvent(
    {
      action: 'record.read',
      outcome: 'success',
      tenant: 'acme',
      actor: { person: { issuer: 'https://idp.example/realms/acme', sub: 'alice' }, workload: 'portal' },
      details: {},
    },
    new Date(),
  );

// A service's two processes, as far as the log is concerned, so that each can be killed at any instant.
const { part, postgresUrl, sinkUrl, paths, bus } = JSON.parse(process.env['PRODUCER'] ?? '{}') as ProducerTold;
const tls = await watchTlsMaterial(paths);
const postgres = await openPostgres({ url: postgresUrl, tls, poolSize: 4, applicationName: part });
const producer = 'crypto-store';
const logger = createLogger({ service: producer, level: 'error' });

if (part === 'relay') {
  const opened = await openBus({ ...bus, tls: await watchTlsMaterial(bus.paths), service: producer, logger });
  await startRelay({
    postgres,
    producer,
    bus: opened,
    tls,
    sink: { url: sinkUrl, dispatcher: openAgent(tls) },
    logger,
  });
} else {
  const audit = await openAudit({ postgres, producer, logger });
  const caller = async () => {
    for (;;) {
      const event = readEvent();
      writeSync(STDOUT, `\n${TRIED}\n`);
      // Synchronous, so that what was acknowledged stands there whatever comes next.
      if (await audit.commit(event).catch(() => false)) writeSync(STDOUT, `\n${event.id}\n`);
      else await delay(BACK_OFF_MS);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
}
