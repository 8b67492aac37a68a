import { z } from 'zod';

/** `true` or `false` in a query or a header. */
export const flag = z.enum(['true', 'false']).transform((text) => text === 'true');
