import { z } from 'zod';

/** A public key (RFC 7517) that a workload signs its assertions with (`private_key_jwt`, RFC 7523). */
export const clientKey = z.union([
  z.strictObject({
    kty: z.literal('EC'),
    crv: z.literal('P-256'),
    x: z.string().length(43).describe('32 bytes in base64url'),
    y: z.string().length(43).describe('32 bytes in base64url'),
    kid: z.string().min(1).max(256).describe('as the header of an assertion names it'),
    alg: z.literal('ES256').default('ES256'),
    use: z.literal('sig').default('sig'),
  }),
  z.strictObject({
    kty: z.literal('RSA'),
    n: z.string().min(342).max(1024).describe('the modulus in base64url, of 2,048 bits at least'),
    e: z.string().max(8).describe('the exponent in base64url'),
    kid: z.string().min(1).max(256).describe('as the header of an assertion names it'),
    alg: z.literal('PS256').default('PS256'),
    use: z.literal('sig').default('sig'),
  }),
]);
