import { actionNames, outcomes } from '@postern/audit';
import { path } from '@postern/runtime';
import { z } from 'zod';
import { notificationTypes } from './webhooks/notification-types.ts';

const name = z.string().regex(/^[a-z][a-z0-9-]{0,39}$/);
const url = z.url({ protocol: /^https$/ }).max(2_048);

/** Which events a forwarder sends; all that is given must hold. */
const filter = z
  .strictObject({
    actions: z
      .array(z.enum(actionNames as [string, ...string[]]))
      .min(1)
      .max(200)
      .optional(),
    outcomes: z.array(z.enum(outcomes)).min(1).optional(),
    tenants: z.array(z.string().min(1).max(256)).min(1).max(1_000).optional(),
  })
  .default({});

const authorization = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('bearer'), tokenPath: path }),
  z.strictObject({ kind: z.literal('basic'), username: z.string().min(1).max(256), passwordPath: path }),
]);

const common = {
  /** Names its cursor, its metrics and its alarms: never changed. */
  name,
  url,
  filter,
  /** Whether it begins with the log, or with what is appended after its first start. */
  from: z.enum(['start', 'now']).default('start'),
  /** PEM of the authorities that vouch for the target. Default: the CA of the workloads, and the public ones. */
  caPath: path.optional(),
};
const collector = {
  ...common,
  authorization: authorization.optional(),
  /** Declared by the operator: what is sent there can be erased there, within so many days (R28). Without it nothing personal is sent. */
  erasure: z.strictObject({ withinDays: z.int().min(1).max(3_650) }).optional(),
};

const target = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('loki'),
    ...collector,
    /** `X-Scope-OrgID`. */
    orgId: z.string().min(1).max(150).optional(),
  }),
  z.strictObject({ kind: z.literal('otlp'), ...collector }),
  z.strictObject({
    kind: z.literal('webhook'),
    ...common,
    types: z.array(z.enum(notificationTypes)).min(1).optional(),
    /** `whsec_...` of Standard Webhooks. */
    secretPath: path,
  }),
]);

/** The document at `POSTERN_FORWARDERS_PATH`: where the log's events go besides the log. */
export const forwardersDocument = z.strictObject({
  targets: z
    .array(target)
    .max(32)
    .default([])
    .refine((targets) => new Set(targets.map(({ name: one }) => one)).size === targets.length, 'a name is used twice'),
  /** Tenants' own webhooks. Without it there are none, nor routes for them. */
  webhooks: z
    .strictObject({
      /** Hosts (`host` or `host:port`) that may lie inside the network. */
      allow: z.array(z.string().min(1).max(300)).max(256).default([]),
      /** Whether any public address may be named besides. */
      publicAddresses: z.boolean().default(false),
      caPath: path.optional(),
    })
    .optional(),
});

export type ForwardersConfig = z.output<typeof forwardersDocument>;
export type TargetConfig = ForwardersConfig['targets'][number];
export type CollectorConfig = Exclude<TargetConfig, { kind: 'webhook' }>;
