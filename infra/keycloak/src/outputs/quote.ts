/** A text as one word of a POSIX shell. */
export const shellWord = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** A text as a Nix string: no interpolation, no escape that was not meant. */
export const nixString = (text: string): string =>
  `"${text
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    .replaceAll('${', '\\${')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t')}"`;

/** A value as YAML: scalars as JSON, which is YAML; tables and lists by lines. */
export function yaml(value: unknown, depth = 0): string {
  const pad = '  '.repeat(depth);
  if (Array.isArray(value)) {
    if (value.length === 0) return '[]';
    return value.map((one) => `\n${pad}- ${inItem(one, depth + 1)}`).join('');
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, one]) => one !== undefined);
    if (entries.length === 0) return '{}';
    return entries.map(([key, one]) => `\n${pad}${yamlKey(key)}:${spaced(yaml(one, depth + 1))}`).join('');
  }
  return yamlText(value);
}

const spaced = (text: string) => (text.startsWith('\n') ? text : ` ${text}`);
const inItem = (value: unknown, depth: number) => yaml(value, depth).replace(/^\n\s*/, '');
const yamlKey = (key: string) =>
  /^[A-Za-z_][A-Za-z0-9_-]*$/.test(key) && !/^(true|false|yes|no|on|off|null|y|n)$/i.test(key) ? key : yamlText(key);
/** YAML takes JSON's texts, but for the two line separators that JSON leaves as they are and characters beyond its set. */
const yamlText = (value: unknown) =>
  JSON.stringify(value).replace(
    /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/** A value as Nix. */
export function nix(value: unknown, depth = 0): string {
  const pad = '  '.repeat(depth + 1);
  if (value === null) return 'null';
  if (typeof value === 'string') return nixString(value);
  if (typeof value !== 'object') return String(value);
  if (Array.isArray(value))
    return value.length === 0
      ? '[ ]'
      : `[\n${value.map((one) => `${pad}${nix(one, depth + 1)}`).join('\n')}\n${'  '.repeat(depth)}]`;
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  if (entries.length === 0) return '{ }';
  return `{\n${entries.map(([key, one]) => `${pad}${nixKey(key)} = ${nix(one, depth + 1)};`).join('\n')}\n${'  '.repeat(depth)}}`;
}

const reserved = new Set(['assert', 'else', 'if', 'in', 'inherit', 'let', 'or', 'rec', 'then', 'with']);
const nixKey = (key: string) => (/^[A-Za-z_][A-Za-z0-9_'-]*$/.test(key) && !reserved.has(key) ? key : nixString(key));
