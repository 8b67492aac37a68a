import { SignatureRefused, verifyWorkloadSignature, type WorkloadTable } from '@postern/mtls';
import { RECEIVED, received, signal, SIGNAL_MAX_AGE_MS, SIGNAL_MAX_CHARACTERS, SIGNAL_TYPE } from './signal.ts';
import { signalJob, type Signal } from './signal.ts';
import type { SignalTypes } from './signal-types.ts';

/** A signal that is not obeyed: forged, misdirected, too old, or from a workload that may not send its type. `reason` is stable. */
export class SignalRefused extends Error {
  override readonly name = 'SignalRefused';
  readonly reason: string;
  constructor(reason: string) {
    super(reason);
    this.reason = reason;
  }
}

export type ExpectedSignal = {
  /** The service whose queue it came by. */
  from: string;
  /** This service. */
  to: string;
  types: SignalTypes;
  anchors: string;
  workloads: WorkloadTable;
  now: Date;
};

/** `known` is false for a type or version that this release has no schema for: then `body` was not judged. */
export type OpenedSignal = { signal: Signal; known: boolean };

/**
 * Judges a job of a queue of signals: signature and signer first (R21), then address and age, then who may send the type,
 * then the body.
 *
 * @throws SignalRefused
 */
export function openSignal(payload: unknown, expected: ExpectedSignal): OpenedSignal {
  const { from, to, types, now } = expected;
  const job = signalJob.safeParse(payload);
  if (!job.success) throw new SignalRefused('job_shape');
  const read = signal.safeParse(signedPayload(job.data.signal, expected));
  if (!read.success) throw new SignalRefused('signal_shape');
  const opened = read.data;
  if (opened.from !== from || opened.to !== to) throw new SignalRefused('signal_misdirected');
  if (Math.abs(now.getTime() - Date.parse(opened.at)) > SIGNAL_MAX_AGE_MS) throw new SignalRefused('signal_too_old');
  if (opened.type === RECEIVED) return { signal: bodyBy(received, opened), known: true };
  const type = Object.hasOwn(types, opened.type) ? types[opened.type] : undefined;
  if (!type) return { signal: opened, known: false };
  if (!type.from.includes(from)) throw new SignalRefused('signal_not_allowed');
  const schema = type.versions[opened.version];
  return schema ? { signal: bodyBy(schema, opened), known: true } : { signal: opened, known: false };
}

function bodyBy(schema: { safeParse(value: unknown): { success: boolean; data?: unknown } }, opened: Signal): Signal {
  const body = schema.safeParse(opened.body);
  if (!body.success) throw new SignalRefused('signal_body');
  return { ...opened, body: body.data as Signal['body'] };
}

function signedPayload(jws: string, { from, anchors, workloads, now }: ExpectedSignal): unknown {
  const expected = { typ: SIGNAL_TYPE, from, anchors, workloads, now, maxCharacters: SIGNAL_MAX_CHARACTERS };
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(verifyWorkloadSignature(jws, expected).payload));
  } catch (error) {
    throw new SignalRefused(error instanceof SignatureRefused ? error.reason : 'signal_shape');
  }
}
