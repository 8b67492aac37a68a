import { z } from 'zod';

/** One scope token (RFC 6749 section 3.3). */
export const scope = z
  .string()
  .regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/)
  .describe('a scope, as tokens have it');
/** A workload, and the audience that a workload is. */
export const workloadName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,62}$/)
  .describe('name of a workload');
const instant = z.iso.datetime();

/** What the person's application notes beside a grant: at most 16 texts of 256 characters, of no meaning here. */
export const attributes = z
  .record(z.string().regex(/^[\w.-]{1,64}$/), z.string().max(256))
  .refine((noted) => Object.keys(noted).length <= 16, 'at most 16 attributes')
  .describe('what the application notes beside a grant: at most 16 texts of 256 characters, of no meaning here');

/** Who may use a grant, and for what. */
export const handleRequest = {
  workload: workloadName.describe('the job that may use the grant'),
  audiences: z.array(workloadName).min(1).max(16).describe('services that its tokens may be for'),
  scopes: z.array(scope).min(1).max(64).describe('what its tokens may have, at most'),
};

/** A handle as the grant's owner sees it. */
export const handleAnswer = z.strictObject({
  id: z.uuid(),
  workload: workloadName.describe('the job that may use the grant'),
  audiences: z.array(workloadName).describe('services that its tokens may be for'),
  scopes: z.array(scope).describe('what its tokens may have, at most'),
  uses: z.int().min(0).describe('how often it was used'),
  max_uses: z.int().positive().nullable().describe('how often it may be; null: no limit'),
  created_at: instant,
  expires_at: instant.nullable(),
});

/** A grant as its owner sees it. */
export const grantAnswer = z.strictObject({
  id: z.uuid(),
  provider: z.string().describe('the issuer that gave it'),
  kind: z.enum(['offline', 'refresh']),
  state: z.enum(['active', 'reauthorization_required', 'ended', 'revoking']),
  scopes: z.array(scope).describe('what the person consented to'),
  attributes,
  created_at: instant,
  confirmed_at: instant,
  handles: z.array(handleAnswer),
});
