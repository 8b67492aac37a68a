import { z } from 'zod';

const position = z.uuid();

/** A page's cursor as it goes out and comes back: opaque to the caller. */
export const cursorOf = (id: string | null): string | null =>
  id === null ? null : Buffer.from(id).toString('base64url');
export const cursor = z
  .string()
  .max(64)
  .transform((text) => Buffer.from(text, 'base64url').toString())
  .pipe(position);

/** What names a page of a list in the order of ids: after which one it begins, and how many of `what` it has at most. */
export const pageQuery = (what: string, most: number) => ({
  cursor: cursor.optional().describe('`next` of the page before'),
  limit: z
    .string()
    .regex(/^\d{1,3}$/)
    .transform(Number)
    .pipe(z.int().min(1).max(most))
    .optional()
    .describe(`${what} a page, at most ${most}`),
});

/** `next` as every such list has it. */
export const nextPage = z.string().nullable().describe('`cursor` of the next page; null at the end');
