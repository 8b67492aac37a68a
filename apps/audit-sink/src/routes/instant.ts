import { z } from 'zod';

/**
 * A time as callers give it: RFC 3339 with any offset. What handlers get is UTC with milliseconds, in the years that Postgres and
 * RFC 3339 both write with four digits.
 */
export const instant = z.iso
  .datetime({ offset: true })
  .refine((text) => {
    const year = new Date(text).getUTCFullYear();
    return year >= 1 && year <= 9_999;
  }, 'a time of the years 1 to 9999 in UTC')
  .transform((text) => new Date(text).toISOString());
