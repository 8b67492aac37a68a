import { type EncryptionContext } from './context.ts';

/** What a message is for: set by whoever holds the keys, never by a caller (R30). */
export const PURPOSE = 'postern:purpose';

const CALLERS_PREFIX = 'caller:';
const RESERVED_PREFIXES = ['postern:', 'aws-crypto-', CALLERS_PREFIX];

/** Whether a caller may name a pair so: what we or the specification set looks otherwise. */
export const isCallersKey = (key: string): boolean =>
  key !== '' && !RESERVED_PREFIXES.some((prefix) => key.startsWith(prefix));

/**
 * A caller's own pairs as they stand in a message, each under a prefix, so that none can be taken for one of ours (R30).
 * In clear: callers are told (R29).
 * @throws TypeError for a key that callers may not set.
 */
export function callersPairs(pairs: EncryptionContext): EncryptionContext {
  const prefixed: Record<string, string> = {};
  for (const [key, value] of Object.entries(pairs)) {
    if (!isCallersKey(key)) throw new TypeError('a context key is empty or reserved');
    prefixed[CALLERS_PREFIX + key] = value;
  }
  return prefixed;
}
