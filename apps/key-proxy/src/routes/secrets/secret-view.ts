import { z } from 'zod';
import { providerKinds } from '../../providers/provider-kind.ts';
import { type HeldSecret } from '../../secrets/held-secret.ts';
import { type SecretValue, textValue, valueOf, valueTypes } from '../../secrets/secret-value.ts';
import { line, secretName } from '../fields.ts';

export const named = z.strictObject({ name: secretName });

/** A value of the longest that any provider takes, as base64, with the rest of a request. */
export const BODY_LIMIT = 128 * 1024;
const MOST_CHARACTERS = 90_000;

const base64 = z
  .string()
  .min(1)
  .max(MOST_CHARACTERS)
  .regex(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/, 'base64');

/** A value as it is given and answered: a text, or bytes. */
export const value = z.union([
  z.strictObject({ text: z.string().min(1).max(MOST_CHARACTERS).describe('a text') }),
  z.strictObject({ base64: base64.describe('bytes, in base64 with padding') }),
]);

export const givenValue = (given: z.output<typeof value>): SecretValue =>
  'text' in given ? textValue(given.text) : valueOf('binary', Buffer.from(given.base64, 'base64'));

export const shownValue = ({ type, content }: SecretValue) =>
  type === 'text' ? { text: content.reveal() } : { base64: content.reveal() };

const DAY_SECONDS = 86_400;

/** What a secret's owner may say about it. */
export const settings = {
  description: line(1000).or(z.literal('')).optional().describe('one line; no secret'),
  tags: z
    .record(
      z.string().regex(/^[a-z][a-z0-9_-]{0,62}$/),
      z
        .string()
        .max(63)
        .regex(/^[a-zA-Z0-9_.@/ -]*$/),
    )
    .refine((tags) => Object.keys(tags).length <= 15, 'at most 15')
    .optional()
    .describe('names and values, kept at the provider too; at most 15'),
  expires_at: z.iso.datetime().nullable().optional(),
  rotate_days: z.int().min(1).max(3650).nullable().optional().describe('days after which a new version is due'),
  cache_seconds: z
    .int()
    .min(0)
    .max(DAY_SECONDS)
    .optional()
    .describe('how long a read is answered without the provider'),
  stale_seconds: z
    .int()
    .min(0)
    .max(7 * DAY_SECONDS)
    .optional()
    .describe('how long after that, where the provider does not answer'),
};

export const secretView = z.strictObject({
  id: z.uuid(),
  name: z.string().describe("the owner's name for it"),
  kind: z.enum(providerKinds),
  reference: z.string().describe('where it lies at the provider'),
  version: z.int().describe('the newest, counted from 1'),
  provider_version: z.string().describe("the provider's own name of it"),
  type: z.enum(valueTypes),
  state: z.enum(['live', 'disabled', 'deleted']),
  description: z.string().describe("the owner's words"),
  tags: z.record(z.string(), z.string()).describe('names and values'),
  labels: z.record(z.string(), z.int()).describe('names of versions'),
  expires_at: z.iso.datetime().nullable(),
  rotate_days: z.int().nullable().describe('days after which a new version is due'),
  rotate_at: z.iso.datetime().nullable(),
  cache_seconds: z.int().describe('how long a read is answered without the provider'),
  stale_seconds: z.int().describe('how long after that, where the provider does not answer'),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
});

export const viewOf = (secret: HeldSecret): z.input<typeof secretView> => ({
  id: secret.id,
  name: secret.name,
  kind: secret.place.kind,
  reference: secret.reference,
  version: secret.version,
  provider_version: secret.providerVersion,
  type: secret.type,
  state: secret.state === 'creating' ? 'live' : secret.state,
  description: secret.description,
  tags: { ...secret.tags },
  labels: { ...secret.labels },
  expires_at: secret.expiresAt?.toISOString() ?? null,
  rotate_days: secret.rotateDays,
  rotate_at: secret.rotateAt?.toISOString() ?? null,
  cache_seconds: secret.cacheSeconds,
  stale_seconds: secret.staleSeconds,
  created_at: secret.createdAt.toISOString(),
  updated_at: secret.updatedAt.toISOString(),
});
