import type { Bus } from '@postern/bus';
import type { TlsMaterial } from '@postern/mtls';
import type { Logger, Now, Registry } from '@postern/runtime';
import type { OutboxPostgres } from '../open-audit.ts';
import type { Sink } from './fetch-watermark.ts';
import type { Reconcilers } from './reconcile-intents.ts';

export type RelayOptions = {
  postgres: Pick<OutboxPostgres, 'pool'>;
  /** The service's name, as in its certificate. */
  producer: string;
  bus: Pick<Bus, 'queue'>;
  /** The workload's own certificate: batches are signed with its key. */
  tls: Pick<TlsMaterial, 'current'>;
  sink: Sink;
  logger: Logger;
  metrics?: Registry;
  now?: Now;
  /**
   * How long an event stays after the log holds it: longer than the interval between the log's backups, so that a restored
   * log can be filled again. Default one hour.
   */
  keepForSeconds?: number;
  /** The log's verifier key, where the operator pins it. Otherwise the first one seen over mTLS is kept. */
  logKey?: string | undefined;
  /** How to find out what became of an effect whose outcome was never recorded, by action (R23). */
  reconcilers?: Reconcilers;
};
