import type pg from 'pg';
import { AUDIT_QUEUE, BATCH_TYPE, joinBatch, type AuditJob } from '@postern/audit';
import type { Bus } from '@postern/bus';
import { signAsWorkload, type TlsMaterial } from '@postern/mtls';
import { batchAfter, manifestOf, readBatch, type NumberedBatch } from './batch-rows.ts';

export type SendDeps = {
  client: pg.ClientBase;
  producer: string;
  bus: Pick<Bus, 'queue'>;
  tls: Pick<TlsMaterial, 'current'>;
};

/** Batches of what is asked for again that are sent in one turn. */
const AGAIN_PER_TURN = 8;

export type Place = { epoch: number; seq: number };

/** Sends one batch, signed with the certificate of this moment (R26), under a new job id (R22). */
async function sendBatch({ bus, tls, producer }: SendDeps, batch: NumberedBatch): Promise<void> {
  const manifest = signAsWorkload(BATCH_TYPE, JSON.stringify(manifestOf(producer, batch)), tls.current());
  const job: AuditJob = { v: 2, batch: joinBatch(manifest, batch.content) };
  await bus.queue(AUDIT_QUEUE).add(job);
}

/**
 * Sends what follows `sent`, as long as no more than the window is under way.
 *
 * @param made a batch in hand that need not be read again.
 * @param advanced told after each batch how far was sent.
 */
export async function sendOutstanding(
  deps: SendDeps,
  { epoch, sent, upTo, made }: { epoch: number; sent: number; upTo: number; made: NumberedBatch | null },
  advanced: (sent: number) => void,
): Promise<void> {
  let last = sent;
  while (last < upTo) {
    const inHand = made?.epoch === epoch && made.first === last + 1;
    const next = inHand ? made : await readBatch(deps.client, { epoch, seq: last });
    if (!next) return;
    await sendBatch(deps, next);
    last = next.last;
    advanced(last);
  }
}

/** Sends kept batches after a place again. @returns how far it came, or null when all up to `held` were sent. */
export async function sendAgain(deps: SendDeps, after: Place, held: Place): Promise<Place | null> {
  let at = after;
  for (let sent = 0; sent < AGAIN_PER_TURN; sent += 1) {
    const next = await batchAfter(deps.client, at);
    if (!next || next.epoch > held.epoch || (next.epoch === held.epoch && next.first > held.seq)) return null;
    await sendBatch(deps, next);
    at = { epoch: next.epoch, seq: next.last };
  }
  return at;
}
