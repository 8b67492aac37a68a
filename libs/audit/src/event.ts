import { z } from 'zod';
import { actionNames, actions, type Action } from './actions.ts';

const uuidV7 = z.string().regex(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
const timestamp = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const name = z.string().min(1).max(256);

/** What became of an operation. `intent` is written before an effect outside the database, its outcome after (R23). */
export const outcomes = ['success', 'refused', 'failed', 'intent'] as const;
export type Outcome = (typeof outcomes)[number];

const actor = z.strictObject({
  acts: z.array(name).max(16).optional(),
  client: name.optional(),
  person: z.strictObject({ issuer: name, sub: name }).optional(),
  workload: name.optional(),
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
    .strictObject({ id: z.string().max(512), type: z.string().min(1).max(64), version: z.int().min(0).optional() })
    .optional(),
  source: z.strictObject({ address: z.string().max(64) }).optional(),
  intent: uuidV7.optional(),
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
  /** The intent whose outcome this is (R23). */
  intent?: string | undefined;
  request?: string | undefined;
  trace?: string | undefined;
  details: Record<string, string | number | boolean | string[] | undefined>;
};

/** A strict object whose parsed values have their keys in canonical order, so that `canonicalBytes` has nothing to sort. */
const inOrder = (shape: z.ZodRawShape) =>
  z.strictObject(Object.fromEntries(Object.entries(shape).sort(([a], [b]) => (a < b ? -1 : 1))));

const schemaOf = (action: Action) => {
  const { shape } = actions[action];
  return z.discriminatedUnion('outcome', [
    inOrder({ ...fields, action: z.literal(action), outcome: z.literal('success'), details: inOrder(shape) }),
    inOrder({
      ...fields,
      action: z.literal(action),
      outcome: z.enum(['refused', 'failed', 'intent']),
      details: inOrder(shape).partial(),
    }),
  ]) as unknown as z.ZodType<AuditEvent>;
};

/** Built at an action's first event: a service records a few of them, and a schema is large. */
const schemas = new Map<string, z.ZodType<AuditEvent>>();
const noAction = z.looseObject({ action: z.enum(actionNames) }) as unknown as z.ZodType<AuditEvent>;

function schemaFor(value: unknown): z.ZodType<AuditEvent> {
  const action = typeof value === 'object' && value !== null && 'action' in value ? value.action : undefined;
  if (typeof action !== 'string' || !Object.hasOwn(actions, action)) return noAction;
  const known = schemas.get(action) ?? schemaOf(action as Action);
  schemas.set(action, known);
  return known;
}

/** The strict schema of one event: its action decides which details it may carry. */
export const auditEvent = {
  parse: (value: unknown): AuditEvent => schemaFor(value).parse(value),
  safeParse: (value: unknown) => schemaFor(value).safeParse(value),
};
