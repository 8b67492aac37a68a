import type { BranchKeys } from '@postern/branch-keys';
import { EgressRefused, type Egress } from '@postern/egress';
import { EnvelopeRefused } from '@postern/envelope';
import type { Now } from '@postern/runtime';
import { retryAfterMs } from '../targets/post.ts';
import { webhookHeaders, type SignatureKind } from './signature.ts';
import { keysOf } from './subscriptions.ts';

export type DueDelivery = {
  id: string;
  body: string;
  attempts: number;
  subscription: string;
  tenant: string;
  url: string;
  signature: SignatureKind;
  sealed: Buffer;
  previous: Buffer | null;
};

/** What came of one attempt. `gone`: the receiver wants no more (410). */
export type AttemptOutcome =
  | { outcome: 'delivered'; status: number }
  | { outcome: 'failed' | 'gone'; status: number | null; reason: string; retryAfterMs: number };

/** One attempt, by the guarded way out (R35). What the receiver answers beyond its status is not looked at. */
export async function attempt(
  { egress, keys, now }: { egress: Egress; keys: BranchKeys; now: Now },
  due: DueDelivery,
  stop: AbortSignal,
): Promise<AttemptOutcome> {
  const { id, body, url } = due;
  try {
    const signing = await keysOf(keys, { ...due, id: due.subscription });
    const headers = { 'content-type': 'application/json', ...webhookHeaders(signing, { id, body, now: now() }) };
    const answer = await egress.request(url, { method: 'POST', headers, body, signal: stop });
    const { status } = answer;
    if (status >= 200 && status < 300) return { outcome: 'delivered', status };
    const wait = retryAfterMs(answer.headers.get('retry-after'), now().getTime());
    return { outcome: status === 410 ? 'gone' : 'failed', status, reason: `status_${status}`, retryAfterMs: wait };
  } catch (error) {
    // A secret that opens no more will not open in a moment either: it is tried as seldom as a receiver that fails.
    const unreadable = error instanceof EnvelopeRefused;
    if (unreadable) return { outcome: 'failed', status: null, reason: 'secret_unreadable', retryAfterMs: 0 };
    if (!(error instanceof EgressRefused)) throw error;
    // An answer that is too long was an answer all the same, but nobody knows which.
    return { outcome: 'failed', status: null, reason: error.reason, retryAfterMs: 0 };
  }
}
