import { z } from 'zod';

/** Where a page begins, as the page before said: opaque to the caller, and parsed like any other input. */
export const cursorOf = <T extends z.ZodType>(position: T) =>
  z
    .string()
    .max(512)
    .transform((text, context): unknown => {
      try {
        return JSON.parse(Buffer.from(text, 'base64url').toString());
      } catch {
        context.addIssue({ code: 'custom' });
        return z.NEVER;
      }
    })
    .pipe(position);

/** The cursor of a position; null after the last page. */
export const cursor = (position: unknown): string | null =>
  position === null ? null : Buffer.from(JSON.stringify(position)).toString('base64url');
