import { newEvent } from '@postern/audit';
import { type Audit } from '@postern/outbox';
import { Counter, type Logger, type Now, type Registry } from '@postern/runtime';

/**
 * The alarm of R34: a record stands at a version below one that this replica saw. It is logged, counted and recorded; the
 * record is answered as it stands, because a restore that was meant looks the same.
 */
export function raiseRollback({
  audit,
  logger,
  metrics,
  service,
  now,
}: {
  audit: Pick<Audit, 'commit'>;
  logger: Logger;
  metrics: Registry;
  service: string;
  now: Now;
}) {
  const rollbacks = new Counter({
    name: 'crypto_store_rollbacks_total',
    help: 'Records found at a version below one that this replica saw (R34)',
    registers: [metrics],
  });
  return ({ id, version, seen }: { id: string; version: number; seen: number }): void => {
    rollbacks.inc();
    logger.error({ id, version, seen, code: 'record_rolled_back' }, 'a record fell behind its own version');
    const event = newEvent(
      {
        action: 'alarm.raised',
        outcome: 'success',
        tenant: null,
        actor: { workload: service },
        resource: { type: 'record', id, version },
        details: { kind: 'record_rolled_back', about: `version ${seen} was seen` },
      },
      now(),
    );
    audit.commit(event).catch((err: unknown) => logger.error({ err, id }, 'an alarm was not recorded'));
  };
}
