import { z } from 'zod';

/** A tenant id: lower case, digits, `-` and `_`, at most 64 characters. */
export const tenantId = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,63}$/)
  .describe('the tenant: 1 to 64 of a-z, 0-9, `-` and `_`');
