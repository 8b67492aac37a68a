import { problem } from '@postern/runtime';
import { z } from 'zod';

/** A version of a record as an entity tag (RFC 9110 section 8.8.3); strong, and the same after its message was sealed anew (R31). */
export const entityTag = ({ id, version }: { id: string; version: number }): string => `"${version}-${id.slice(0, 8)}"`;

/** What a conditional request names: any representation, or these. */
type Tags = '*' | readonly { readonly weak: boolean; readonly tag: string }[];

const MOST_TAGS = 20;
const TAG = /^\s*(W\/)?("[\x21\x23-\x7e\x80-\xff]*")\s*$/;

/** `If-Match` or `If-None-Match`: `*`, or a list of entity tags (RFC 9110 section 13.1). */
export const entityTags = z
  .string()
  .max(1_000)
  .transform((text, context): Tags => {
    if (text.trim() === '*') return '*';
    const found = text.split(',').map((one) => TAG.exec(one));
    if (found.length <= MOST_TAGS && found.every((one) => one !== null))
      return found.map(([, weak, tag]) => ({ weak: weak !== undefined, tag: tag ?? '' }));
    context.addIssue({ code: 'custom' });
    return z.NEVER;
  });

/** The conditions of a request; absent ones hold. */
export type Conditions = { readonly ifMatch?: Tags | undefined; readonly ifNoneMatch?: Tags | undefined };

/** The headers that carry them. */
export const conditionHeaders = {
  'if-match': entityTags
    .optional()
    .describe('entity tags, of which the record must have one, or `*` (RFC 9110, section 13.1.1)'),
  'if-none-match': entityTags.optional().describe('entity tags, of which it must have none; `*`: it must not be there'),
};

/** The conditions in the headers that were parsed by `conditionHeaders`. */
export const conditionsIn = (headers: {
  'if-match'?: Tags | undefined;
  'if-none-match'?: Tags | undefined;
}): Conditions => ({ ifMatch: headers['if-match'], ifNoneMatch: headers['if-none-match'] });

/** What a condition is held against: the representation that a read would give now, or that there is none. */
export type Current = { readonly id: string; readonly version: number } | null;

/** Strong comparison for `If-Match`, weak for `If-None-Match` (RFC 9110 sections 8.8.3.2, 13.1). */
const named = (tags: Tags, current: Current, strong: boolean): boolean => {
  if (current === null) return false;
  if (tags === '*') return true;
  const held = entityTag(current);
  return tags.some(({ weak, tag }) => tag === held && !(strong && weak));
};

/**
 * Holds a change to its conditions, in the order of RFC 9110 section 13.2.2.
 * @throws Problem `precondition_failed` (412); `precondition_required` (428, RFC 6585) where the record asks for one.
 */
export function holdConditions({ ifMatch, ifNoneMatch }: Conditions, current: Current, required = false): void {
  if (required && ifMatch === undefined && ifNoneMatch === undefined) throw problem('precondition_required');
  if (ifMatch !== undefined && !named(ifMatch, current, true)) throw problem('precondition_failed');
  if (ifNoneMatch !== undefined && named(ifNoneMatch, current, false)) throw problem('precondition_failed');
}

/**
 * The same for a read: true where the caller has what would be answered (304).
 * @throws Problem `precondition_failed`
 */
export function isNotModified({ ifMatch, ifNoneMatch }: Conditions, current: Current): boolean {
  holdConditions({ ifMatch }, current);
  return ifNoneMatch !== undefined && named(ifNoneMatch, current, false);
}
