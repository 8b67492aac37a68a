import { z } from 'zod';

/** Who may send a type of signal (R21), and the schema of its body by version. */
export type SignalType = { from: readonly string[]; versions: Readonly<Record<number, z.ZodType>> };
export type SignalTypes = Readonly<Record<string, SignalType>>;

const tenant = z.string().min(1).max(256);

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
        tenant,
        state: z.enum(['active', 'suspended', 'offboarded']),
        generation: z.int().min(1),
      }),
    },
  },
  /** A tenant's destruction has begun (R33): deny it, and remove what is held of it when no memory holds it any more. */
  'tenant.destroying': {
    from: ['crypto-store'],
    versions: { 1: z.strictObject({ destruction: z.uuid(), tenant }) },
  },
  /** Nothing of it is left with the sender but what it says here: rows removed by table, branch keys destroyed. */
  'tenant.destroyed': {
    from: ['auth-manager', 'key-proxy', 'token-exchange', 'audit-sink'],
    versions: {
      1: z.strictObject({
        destruction: z.uuid(),
        tenant,
        deniedAt: z.iso.datetime(),
        destroyedAt: z.iso.datetime(),
        removed: z.record(z.string().max(64), z.int().min(0)),
        keys: z.int().min(0),
        listed: z.boolean(),
      }),
    },
  },
} as const satisfies SignalTypes;
