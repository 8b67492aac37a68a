import { problem } from '@postern/runtime';
import { limits } from './capabilities.ts';
import { type ProviderKind } from './provider-kind.ts';

/** What a reference stands for: a secret's own random id (a UUID), and its name as people know it. */
export type Named = { id: string; name: string };

type Rules = {
  /** Before everything of ours. */
  prefix: string;
  between: string;
  /** Characters that stand for themselves; all others are escaped byte by byte (UTF-8, two hex digits). */
  plain: RegExp;
  escape: string;
};

/**
 * The rules of each provider for names (the pages of `capabilities.ts`). Azure's are case-insensitive, so upper case is
 * escaped there; neither it nor Google has an escape character to spare but `-` and `_`.
 */
const rules: Readonly<Record<ProviderKind, Rules>> = {
  'crypto-store': { prefix: 'secret/', between: '/', plain: /[A-Za-z0-9._-]/, escape: '%' },
  // No hyphen: a name that ends in one and six characters is taken for an ARN (CreateSecret, `Name`).
  aws: { prefix: 'postern/', between: '/', plain: /[A-Za-z0-9._]/, escape: '=' },
  azure: { prefix: 'postern-', between: '-', plain: /[a-z0-9]/, escape: '-' },
  gcp: { prefix: 'postern-', between: '-', plain: /[A-Za-z0-9-]/, escape: '_' },
  openbao: { prefix: 'postern/', between: '/', plain: /[A-Za-z0-9._-]/, escape: '=' },
};

/** What every reference of ours begins with at this kind of provider. */
export const referencePrefix = (kind: ProviderKind): string => rules[kind].prefix;

/**
 * The name that a secret gets at its provider: its id, and its name as far as the provider's rules let it be read.
 * {@link namedBy} is the way back.
 *
 * @throws Problem `name_too_long` where the provider has no room for the name
 */
export function referenceOf(kind: ProviderKind, { id, name }: Named): string {
  const { prefix, between, plain, escape } = rules[kind];
  const escaped = Array.from(name, (character) =>
    plain.test(character)
      ? character
      : Array.from(Buffer.from(character, 'utf8'), (byte) => `${escape}${byte.toString(16).padStart(2, '0')}`).join(''),
  ).join('');
  const reference = `${prefix}${id.replaceAll('-', '')}${between}${escaped}`;
  const most = limits[kind].referenceCharacters;
  if (reference.length > most) {
    const detail = `at ${kind} this name takes ${reference.length} characters of at most ${most}`;
    throw problem('name_too_long', { detail });
  }
  return reference;
}

/** Which secret lies under a reference; null for one that is none of ours. */
export function namedBy(kind: ProviderKind, reference: string): Named | null {
  const { prefix, between, escape } = rules[kind];
  const match = new RegExp(
    `^${prefix}([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})${between}(.+)$`,
  ).exec(reference);
  if (!match) return null;
  const [, a, b, c, d, e, escaped = ''] = match;
  const bytes = escaped.replace(
    new RegExp(`${escape}([0-9a-f]{2})|([^])`, 'g'),
    (_all, hex: string | undefined, as: string) => hex ?? as.charCodeAt(0).toString(16).padStart(2, '0'),
  );
  try {
    const name = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(bytes, 'hex'));
    const named = { id: `${a}-${b}-${c}-${d}-${e}`, name };
    return referenceOf(kind, named) === reference ? named : null;
  } catch {
    return null;
  }
}
