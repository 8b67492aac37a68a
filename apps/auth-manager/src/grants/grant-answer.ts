import { z } from 'zod';

/** One scope token (RFC 6749 section 3.3). */
export const scope = z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/);
/** A workload, and the audience that a workload is. */
export const workloadName = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/);
const instant = z.iso.datetime();

/** What the person's application notes beside a grant: at most 16 texts of 256 characters, of no meaning here. */
export const attributes = z
  .record(z.string().regex(/^[\w.-]{1,64}$/), z.string().max(256))
  .refine((noted) => Object.keys(noted).length <= 16, 'at most 16 attributes');

/** Who may use a grant, and for what. */
export const handleRequest = {
  workload: workloadName,
  audiences: z.array(workloadName).min(1).max(16),
  scopes: z.array(scope).min(1).max(64),
};

/** A handle as the grant's owner sees it. */
export const handleAnswer = z.strictObject({
  id: z.uuid(),
  workload: workloadName,
  audiences: z.array(workloadName),
  scopes: z.array(scope),
  uses: z.int().min(0),
  max_uses: z.int().positive().nullable(),
  created_at: instant,
  expires_at: instant.nullable(),
});

/** A grant as its owner sees it. */
export const grantAnswer = z.strictObject({
  id: z.uuid(),
  provider: z.string(),
  kind: z.enum(['offline', 'refresh']),
  state: z.enum(['active', 'reauthorization_required', 'ended', 'revoking']),
  scopes: z.array(scope),
  attributes,
  created_at: instant,
  confirmed_at: instant,
  handles: z.array(handleAnswer),
});
