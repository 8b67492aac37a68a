import { z } from 'zod';

/** `typ` of a signed signal (R7: no other kind of token carries it). */
export const SIGNAL_TYPE = 'postern-signal+jws';

/** Most characters of a signed signal; a longer job is not looked at. */
export const SIGNAL_MAX_CHARACTERS = 65_536;

/** A signature older than this is refused; what is sent again is signed again. Greater than any difference of clocks. */
export const SIGNAL_MAX_AGE_MS = 3_600_000;

const service = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/);

/** What is signed. `version` is that of `body`, which is judged by the table of types, after the signature. */
export const signal = z.strictObject({
  v: z.literal(1),
  id: z.uuid(),
  from: service,
  to: service,
  type: z.string().regex(/^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+$/),
  version: z.int().min(1).max(1_000),
  /** When it was signed. */
  at: z.iso.datetime(),
  body: z.record(z.string().max(64), z.json()),
});
export type Signal = z.output<typeof signal>;

/** The payload of a job in a queue of signals. */
export const signalJob = z.strictObject({ v: z.literal(1), signal: z.string().max(SIGNAL_MAX_CHARACTERS) });

/** Says to a sender that its signals were taken: the one type that every service sends and takes. */
export const RECEIVED = 'signals.received';
export const received = z.strictObject({ ids: z.array(z.uuid()).min(1).max(100) });
