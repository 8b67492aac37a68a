import { isCallersKey } from '@postern/envelope';
import { z } from 'zod';

const MAX_PAIRS = 16;
const MAX_KEY_CHARACTERS = 128;
const MAX_VALUE_CHARACTERS = 1024;
/** Of all pairs in UTF-8, so that with our own they fit into a message's 8 KiB. */
const MAX_BYTES = 4096;

const bytesOf = (pairs: Record<string, string>): number =>
  Object.entries(pairs).reduce((sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value), 0);

const pairs = z
  .record(
    z
      .string()
      .min(1)
      .max(MAX_KEY_CHARACTERS)
      .refine((key) => key.isWellFormed() && isCallersKey(key), 'a key of the caller'),
    z
      .string()
      .max(MAX_VALUE_CHARACTERS)
      .refine((value) => value.isWellFormed(), 'well-formed text'),
  )
  .refine((context) => Object.keys(context).length <= MAX_PAIRS && bytesOf(context) <= MAX_BYTES, 'too long')
  .describe(
    'Pairs that are bound to the sealed bytes and stand in them in clear: whoever opens them must give the same. ' +
      'Put ids there, never secrets or names. Keys must not begin with `postern:`, `aws-crypto-` or `caller:`.',
  );

/** A caller's own encryption context (R29, R30). */
export const callerContext = z.preprocess((given, check) => {
  // Parsing would leave this name out without a word, and what is left out is bound to nothing.
  if (typeof given === 'object' && given !== null && Object.hasOwn(given, '__proto__')) {
    check.addIssue({ code: 'custom', message: 'a key of the caller' });
    return z.NEVER;
  }
  return given;
}, pairs);

const MAX_HEADER_CHARACTERS = 12_288;

/** The same where the body is a stream: a header of JSON in base64url. */
export const contextHeader = z
  .string()
  .max(MAX_HEADER_CHARACTERS)
  .transform((text, check) => {
    const parsed = callerContext.safeParse(jsonIn(text));
    if (parsed.success) return parsed.data;
    check.addIssue({ code: 'custom', message: 'a context as JSON in base64url' });
    return z.NEVER;
  })
  .describe('the context as JSON in base64url; absent it is empty');

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString()) as unknown;
  } catch {
    return undefined;
  }
}
