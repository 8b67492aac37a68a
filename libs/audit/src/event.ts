import { z } from 'zod';
import { actions, type Action } from './actions.ts';

const uuidV7 = z.string().regex(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
const timestamp = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const name = z.string().min(1).max(256);

/** What became of an operation. `intent` is written before an effect outside the database, its outcome after (R23). */
export const outcomes = ['success', 'refused', 'failed', 'intent'] as const;
export type Outcome = (typeof outcomes)[number];

const actor = z.strictObject({
  person: z.strictObject({ issuer: name, sub: name }).optional(),
  client: name.optional(),
  workload: name.optional(),
  acts: z.array(name).max(16).optional(),
});

const fields = {
  v: z.literal(1),
  id: uuidV7,
  time: timestamp,
  reason: z
    .string()
    .regex(/^[a-z][a-z0-9_.-]{0,63}$/)
    .optional(),
  tenant: name.nullable(),
  actor,
  resource: z
    .strictObject({ type: z.string().min(1).max(64), id: z.string().max(512), version: z.int().min(0).optional() })
    .optional(),
  source: z.strictObject({ address: z.string().max(64) }).optional(),
  request: z.string().max(128).optional(),
  trace: z.string().max(128).optional(),
};

/** One thing that happened, as every service records it. */
export type AuditEvent = {
  v: 1;
  /** UUID version 7, lower case. */
  id: string;
  /** RFC 3339 in UTC with milliseconds. */
  time: string;
  action: Action;
  outcome: Outcome;
  /** A stable code, never free text. */
  reason?: string | undefined;
  tenant: string | null;
  actor: {
    person?: { issuer: string; sub: string } | undefined;
    client?: string | undefined;
    workload?: string | undefined;
    acts?: string[] | undefined;
  };
  resource?: { type: string; id: string; version?: number | undefined } | undefined;
  source?: { address: string } | undefined;
  request?: string | undefined;
  trace?: string | undefined;
  details: Record<string, string | number | boolean | string[] | undefined>;
};

const byAction = Object.entries(actions).map(([action, details]) =>
  z.discriminatedUnion('outcome', [
    z.strictObject({ ...fields, action: z.literal(action), outcome: z.literal('success'), details }),
    z.strictObject({
      ...fields,
      action: z.literal(action),
      outcome: z.enum(['refused', 'failed', 'intent']),
      details: (details as z.ZodObject).partial(),
    }),
  ]),
);
type Variant = (typeof byAction)[number];

/** The strict schema of one event: its action decides which details it may carry. */
export const auditEvent = z.discriminatedUnion(
  'action',
  byAction as [Variant, ...Variant[]],
) as unknown as z.ZodType<AuditEvent>;
