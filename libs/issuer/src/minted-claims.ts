import { actorChain, tenantId, TokenRefused } from '@postern/oidc';
import { quotas } from '@postern/policy';
import { z } from 'zod';

const text = z.string().min(1).max(512);

/** An actor and who acted before it (RFC 8693 section 4.1). */
export type Act = { sub: string; act?: Act };

/**
 * What a service says in a token of its own; the issuer adds `iss`, `iat`, `exp`, `jti` and `cnf`. Strict: a claim that
 * is not in this list cannot be minted by accident.
 */
export const mintedClaims = z.strictObject({
  /** The person at their original issuer, or the client where a workload speaks for itself. */
  sub: text,
  /** Who first named the person (R3); absent where there is no person. */
  subject_issuer: text.optional(),
  /** One audience; several only in a token that is bound to a key, each named once. */
  aud: z.union([
    text,
    z
      .array(text)
      .min(2)
      .max(32)
      .refine((names) => new Set(names).size === names.length, 'stands twice'),
  ]),
  tenant: tenantId,
  client_id: text,
  /** Separated by spaces. */
  scope: z.string().max(4_096),
  roles: z.array(z.string().min(1).max(128)).max(256).optional(),
  act: z
    .custom<Act>((value) => {
      try {
        return actorChain(value).length > 0;
      } catch (error) {
        if (error instanceof TokenRefused) return false;
        throw error;
      }
    })
    .optional(),
  may_act: z.strictObject({ sub: text.optional(), client_id: text.optional() }).optional(),
  sid: text.optional(),
  /** When the first of the tokens that this one came from was issued (seconds): what revokes that one by a time reaches this one. */
  subject_iat: z.int().optional(),
  acr: text.optional(),
  auth_time: z.int().optional(),
  grant_id: text.optional(),
  /** For a grant: the audiences that may be asked for with it. */
  audiences: z.array(text).max(32).optional(),
  /** What the tenant may use at the token's audiences (ADR 60). */
  quotas: quotas.optional(),
  /** The job that a background task's token is for (R5). */
  job: text.optional(),
});

export type MintedClaims = z.input<typeof mintedClaims>;
