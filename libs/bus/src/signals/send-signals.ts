import { signAsWorkload, type TlsMaterial } from '@postern/mtls';
import type { Query } from '@postern/postgres';
import type { Now } from '@postern/runtime';
import type { Bus } from '../open-bus.ts';
import { signalQueue } from '../prefix.ts';
import { SIGNAL_TYPE, type Signal } from './signal.ts';

export type SignalSender = { bus: Pick<Bus, 'queue'>; tls: Pick<TlsMaterial, 'current'>; service: string; now: Now };

/** Signed with the certificate of this moment (R26) and put into this service's queue to the recipient. */
export async function sendSignal(
  { bus, tls, service, now }: SignalSender,
  { to, ...rest }: Omit<Signal, 'v' | 'from' | 'at'>,
): Promise<void> {
  const signal: Signal = { v: 1, from: service, to, at: now().toISOString(), ...rest };
  const jws = signAsWorkload(SIGNAL_TYPE, JSON.stringify(signal), tls.current());
  await bus.queue(signalQueue(to)).add({ v: 1, signal: jws });
}

const PER_ROUND = 100;
const FIRST_PAUSE_SECONDS = 5;
const LONGEST_PAUSE_SECONDS = 600;

type Row = { id: string; recipient: string; type: string; version: number; body: Signal['body'] };

/**
 * Sends what is due. Before it is sent, its next turn is set: a replica that dies here costs a pause, never a signal. All go at
 * once, so that one which cannot be sent keeps no other waiting.
 *
 * @throws the first failure, after all were tried.
 */
export async function sendDue(query: Query, sender: SignalSender): Promise<void> {
  const due = await query<Row>(
    `update signals_out set attempts = attempts + 1,
       next_at = now() + make_interval(secs => least($2 * power(2, least(attempts, 12)), $3))
     where id = any(array(
       select id from signals_out where next_at <= now() order by next_at limit $1 for update skip locked))
     returning id, recipient, type, version, body`,
    [PER_ROUND, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS],
  );
  const sent = await Promise.allSettled(
    due.map(({ id, recipient, type, version, body }) => sendSignal(sender, { id, to: recipient, type, version, body })),
  );
  const failed = sent.find((one) => one.status === 'rejected');
  if (failed) throw failed.reason;
}
