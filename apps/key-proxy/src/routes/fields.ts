import { z } from 'zod';
import { problem } from '@postern/runtime';
import { providerKinds, type ProviderKind } from '../providers/provider-kind.ts';
import { type HeldSecret } from '../secrets/held-secret.ts';

const NO_CONTROL_CHARACTERS = /^[^\p{Cc}]*$/u;

/** One line of text, as a person types it. */
export const line = (longest: number) => z.string().trim().min(1).max(longest).regex(NO_CONTROL_CHARACTERS);

export const secretName = line(256).describe("the owner's name for the secret: one line of at most 256 characters");

/** Any text; its bytes with the rest of the body stay below the body limit. */
export const secretValue = z.string().min(1).max(49_152).describe('any text; what the provider takes may be less');

export const phoneNumber = line(32)
  .regex(/^[+0-9 ()./-]+$/)
  .describe('digits with `+ ( ) . / -` and spaces');

/** The longest password that is hashed: more would only be work. */
export const LONGEST_PASSWORD = 256;

/** The seed's pair of fields: which provider, and what it needs to be reached. */
export const kms = {
  kms_selection: z.enum(providerKinds),
  kms_credentials: z
    .record(z.string().max(64), z.unknown())
    .default({})
    .describe('what that provider is reached with, by its kind; sealed, and never given out again'),
};

/** `crypto-store` is reached with the caller's own token. @throws Problem `invalid_input` */
export function refuseCredentials(kind: ProviderKind, credentials: Record<string, unknown>): void {
  if (kind !== 'crypto-store' || Object.keys(credentials).length === 0) return;
  throw problem('invalid_input', {
    fields: [{ field: 'body.kms_credentials', rule: 'must be empty for crypto-store' }],
  });
}

/** How a secret looks from outside, without its value. */
export const secretEntry = {
  id: z.uuid(),
  name: z.string().describe("the owner's name for it"),
  provider: z.enum(providerKinds),
  reference: z.string().describe('where it lies at the provider'),
  version: z.string().describe("the provider's own name of the version"),
  created_at: z.iso.datetime(),
};

export const entryOf = ({ id, name, place, reference, providerVersion, createdAt }: HeldSecret) => ({
  id,
  name,
  provider: place.kind,
  reference,
  version: providerVersion,
  created_at: createdAt.toISOString(),
});
