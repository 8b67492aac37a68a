import canonicalize from 'canonicalize';

/**
 * The bytes that are hashed and signed: the JSON Canonicalization Scheme (RFC 8785) in UTF-8. Short ones are views of memory that
 * they share with others (`Buffer.from`).
 *
 * @throws TypeError where the value has no single such form: a number that is not finite, a string with a lone surrogate
 *   (RFC 8785 section 3.2.2.2), a cycle, or nothing at all.
 */
export function canonicalBytes(value: unknown): Buffer {
  if (inOrder.has(value as object)) {
    const text = JSON.stringify(value);
    // An escaped surrogate is a lone one: that has no canonical form, and is told below.
    if (!text.includes('\\ud')) return Buffer.from(text);
  }
  // RFC 8785 takes its rules for numbers and strings from JSON.stringify: what is in order already needs nothing else.
  if (isInOrder(value, MOST_LEVELS)) return Buffer.from(JSON.stringify(value));
  let text: string | undefined;
  try {
    text = canonicalize(value);
  } catch (cause) {
    throw new TypeError('This value has no canonical form', { cause });
  }
  if (text === undefined) throw new TypeError('This value has no canonical form');
  return Buffer.from(text);
}

/** Values that their schema has put in canonical order: what is recorded most often need not be looked through again. */
const inOrder = new WeakSet<object>();

/** Says of a value that nobody else holds that its keys are in canonical order, to the last level, and its numbers finite. */
export function knownInOrder<T extends object>(value: T): T {
  inOrder.add(value);
  return value;
}

const MOST_LEVELS = 8;

/**
 * Whether JSON.stringify gives the canonical form: plain objects whose keys stand in the order of their UTF-16 code units
 * (section 3.2.3), arrays, finite numbers, well-formed strings. False is no verdict.
 */
function isInOrder(value: unknown, levels: number): boolean {
  switch (typeof value) {
    case 'string':
      return value.isWellFormed();
    case 'number':
      return Number.isFinite(value);
    case 'boolean':
      return true;
    case 'object':
      if (value === null) return true;
      if (levels === 0) return false;
      return Array.isArray(value)
        ? value.every((item) => item !== undefined && isInOrder(item, levels - 1))
        : isObjectInOrder(value, levels);
    default:
      return false;
  }
}

function isObjectInOrder(value: object, levels: number): boolean {
  if (Object.getPrototypeOf(value) !== Object.prototype || 'toJSON' in value) return false;
  let before = '';
  for (const [key, item] of Object.entries(value)) {
    if (key < before || !key.isWellFormed()) return false;
    before = key;
    // JSON.stringify leaves it out, and so does the scheme.
    if (item !== undefined && !isInOrder(item, levels - 1)) return false;
  }
  return true;
}
