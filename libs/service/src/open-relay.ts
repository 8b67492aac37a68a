import { keyRounds } from '@postern/branch-keys';
import { openBus, type Bus } from '@postern/bus';
import { watchTlsMaterial } from '@postern/mtls';
import { recordedTransactions, startRelay, type RelayOptions } from '@postern/outbox';
import { type ServiceState, type ServiceStateOf } from './open-state.ts';
import { type Setting } from './setting.ts';

/** The bus, and the relay that brings the service's events over it to the log. Both end before what was opened earlier. */
export async function openRelay(
  { service, config, closing, metrics, logger, now }: Setting,
  { tls, postgres }: ServiceState,
  way: Pick<RelayOptions, 'sink' | 'reconcilers'>,
): Promise<Bus> {
  const { url, password, tls: paths, logKey } = config.bus;
  const busTls = closing.after(await watchTlsMaterial(paths));
  const at = { url, password: password?.reveal(), tls: busTls };
  const bus = closing.after(await openBus({ ...at, service, logger, metrics }));
  closing.after(await startRelay({ postgres, producer: service, bus, tls, ...way, logger, metrics, now, logKey }));
  return bus;
}

/** Keys are kept up and turned (R31): the rounds for it, and the transactions in which a change and its event stand or fall together. */
export function openKeyRounds<Schema>(
  { service, profile, metrics: registry, logger, now }: Setting,
  { postgres, audit, rootKey, keys }: ServiceStateOf<Schema>,
) {
  const { db, query } = postgres;
  const transaction = recordedTransactions({ db, audit, producer: service, now });
  const rounds = keyRounds({ query, transaction, rootKey, keys, profile, registry, logger, now });
  return { transaction, rounds };
}
