import { z } from 'zod';

/** One scope token (RFC 6749 section 3.3). */
export const scope = z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/);
/** A workload, and the audience that a workload is. */
export const workloadName = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/);
const instant = z.iso.datetime();

/** A grant as its owner sees it. */
export const grantAnswer = z.strictObject({
  id: z.uuid(),
  provider: z.string(),
  kind: z.enum(['offline', 'session']),
  state: z.enum(['active', 'reauthorization_required', 'ended', 'revoking']),
  scopes: z.array(scope),
  created_at: instant,
  confirmed_at: instant,
  handles: z.array(
    z.strictObject({
      id: z.uuid(),
      workload: workloadName,
      audiences: z.array(workloadName),
      scopes: z.array(scope),
      uses: z.int().min(0),
      created_at: instant,
    }),
  ),
});
