import { z } from 'zod';
import { tenantId } from '../tenant-id.ts';

const text = z.string().min(1).max(512);
const issuer = text.describe('`iss` of the tokens');
const before = z.int().positive().describe('seconds since the epoch: what was issued before it is revoked');

/**
 * What can be revoked (R14). `session`, `grant`, `subject`, `client`, `tenant` travel in the claims of everything that was minted
 * from them, so that one statement reaches all descendants; `token` names one token, `key` whatever a key has signed.
 */
export const revocationTarget = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('token'), issuer, tokenId: text.describe('its `jti`') }),
    z.strictObject({ kind: z.literal('session'), issuer, sessionId: text.describe('`sid` of the tokens') }),
    z.strictObject({ kind: z.literal('grant'), grantId: text.describe('the grant they were made from'), before }),
    z.strictObject({
      kind: z.literal('subject'),
      tenant: tenantId,
      issuer: text.describe('the issuer at which the person is known'),
      sub: text.describe('the person there'),
      before,
    }),
    z.strictObject({ kind: z.literal('client'), client: text.describe('the workload they were issued to'), before }),
    z.strictObject({ kind: z.literal('tenant'), tenant: tenantId, before }),
    z.strictObject({ kind: z.literal('key'), issuer, keyId: text.describe('`kid` of the signing key') }),
  ])
  .describe('which tokens are revoked');

export const revocationKinds = ['token', 'session', 'grant', 'subject', 'client', 'tenant', 'key'] as const;

export type RevocationTarget = z.output<typeof revocationTarget>;

/** One entry of an issuer's sequence. */
export const revocation = z.strictObject({
  seq: z.int().positive().describe('its number; they have no gaps'),
  until: z.int().positive().describe('seconds since the epoch: no token that it could concern lives longer'),
  target: revocationTarget,
});
export type Revocation = z.output<typeof revocation>;

export const REVOCATIONS_PER_PAGE = 1_000;

/** What `GET /v1/revocations?after=` answers: every entry still of use with `after < seq <= through`. */
export const revocationPage = z.strictObject({
  /** Compact JWS of {@link revocationHead}, `typ` {@link REVOCATION_HEAD_TYPE}. */
  head: z
    .string()
    .max(4_096)
    .describe('compact JWS (`typ` `revocations+jwt`) over the newest number and when that was so'),
  through: z.int().nonnegative().describe('the number up to which this page goes: `after` of the next one'),
  revocations: z.array(revocation).max(REVOCATIONS_PER_PAGE),
});
export type RevocationPage = z.output<typeof revocationPage>;

export const REVOCATION_HEAD_TYPE = 'revocations+jwt';

/** The signed head: `seq` is the number of the newest entry, `iat` when that was so (seconds since the epoch). */
export const revocationHead = z.strictObject({ iss: text, seq: z.int().nonnegative(), iat: z.int().positive() });

/** One string a target: a target and the token it concerns meet under the same one. */
export function keyOf(target: RevocationTarget): string {
  switch (target.kind) {
    case 'token':
      return `token ${target.issuer} ${target.tokenId}`;
    case 'session':
      return `session ${target.issuer} ${target.sessionId}`;
    case 'grant':
      return `grant ${target.grantId}`;
    case 'subject':
      return `subject ${target.tenant} ${target.issuer} ${target.sub}`;
    case 'client':
      return `client ${target.client}`;
    case 'tenant':
      return `tenant ${target.tenant}`;
    case 'key':
      return `key ${target.issuer} ${target.keyId}`;
  }
}
