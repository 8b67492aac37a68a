import { z } from 'zod';

/** Who may send a type of signal (R21), and the schema of its body by version. */
export type SignalType = { from: readonly string[]; versions: Readonly<Record<number, z.ZodType>> };
export type SignalTypes = Readonly<Record<string, SignalType>>;

/**
 * Every signal between Postern's services. To add one, add an entry; to change one, add a version: receivers learn it one
 * release before senders use it. Signals come at least once and in no order, so a body names the generation it speaks of.
 */
export const signalTypes = {
  /** A tenant began, was suspended, or left. What holds is the snapshot at token-exchange; this says to look. */
  'tenant.changed': {
    from: ['token-exchange'],
    versions: {
      1: z.strictObject({
        tenant: z.string().min(1).max(256),
        state: z.enum(['active', 'suspended', 'offboarded']),
        generation: z.int().min(1),
      }),
    },
  },
} as const satisfies SignalTypes;
