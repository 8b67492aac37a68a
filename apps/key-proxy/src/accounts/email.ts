import { createHash } from 'node:crypto';
import { z } from 'zod';

/** An address as it is kept and compared: trimmed, in lower case. At most 254 characters (RFC 5321 section 4.5.3.1). */
export const email = z
  .string()
  .max(254)
  .transform((text) => text.trim().toLowerCase())
  .pipe(z.email())
  .describe('an address; its case does not matter');

/** SHA-256 of the address: what failures are counted under, so that the counters hold no addresses that are not ours. */
export const emailDigest = (address: string): Buffer => createHash('sha256').update(address).digest();
