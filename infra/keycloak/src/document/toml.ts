import { parseTOML, type AST } from 'toml-eslint-parser';

import { DocumentRefused } from './problem.ts';

export type Path = readonly (string | number)[];
export type Place = { line: number; column: number };

/** A TOML text as plain values, and where each of them stands. */
export type Toml = {
  value: Record<string, unknown>;
  /** The place of a key, or of the nearest one above it. */
  placeOf(path: Path): Place;
};

const LONGEST_CHARACTERS = 1_048_576;
/** Names that mean something else to JavaScript than to the writer. */
const reserved = new Set(['__proto__', 'constructor', 'prototype']);

/**
 * Reads TOML 1.0. Dates become their text; whole numbers beyond 2^53 are refused, as they cannot be kept exactly.
 * @throws DocumentRefused with the place
 */
export function readToml(text: string, file: string): Toml {
  const refuse = (message: string, { line, column }: Place, key = ''): never => {
    throw new DocumentRefused([{ file, line, column, key, message }]);
  };
  const start = { line: 1, column: 1 };
  if (text.length > LONGEST_CHARACTERS) refuse('is longer than 1 MiB', start);
  const places = new Map<string, Place>();
  const mark = (path: Path, { loc }: { loc: AST.SourceLocation }) => {
    const at = JSON.stringify(path);
    if (!places.has(at)) places.set(at, { line: loc.start.line, column: loc.start.column + 1 });
  };

  const valueOf = (node: AST.TOMLContentNode, path: Path): unknown => {
    if (node.type === 'TOMLArray') {
      return node.elements.map((element, at) => {
        mark([...path, at], element);
        return valueOf(element, [...path, at]);
      });
    }
    if (node.type === 'TOMLInlineTable') {
      const table = {};
      for (const pair of node.body) put(table, pair, path);
      return table;
    }
    if (node.kind === 'integer' && !Number.isSafeInteger(Number(node.bigint)))
      refuse('is too large a number', placeIn(node), path.join('.'));
    if (node.kind.endsWith('date') || node.kind.endsWith('time')) return (node as AST.TOMLDateTimeValue).datetime;
    return node.value;
  };

  /** Walks to the table of a key, making those between. */
  const descend = (
    root: object,
    keys: Path,
    path: Path,
    node: { loc: AST.SourceLocation },
  ): Record<string, unknown> => {
    let table = root as Record<string, unknown>;
    keys.forEach((key, depth) => {
      if (reserved.has(String(key))) refuse('is not a name for a key', placeIn(node), [...path, ...keys].join('.'));
      mark([...path, ...keys.slice(0, depth + 1)], node);
      table[key] ??= typeof keys[depth + 1] === 'number' ? [] : {};
      table = table[key] as Record<string, unknown>;
    });
    return table;
  };

  const put = (root: object, { key, value }: AST.TOMLKeyValue, path: Path): void => {
    const names = key.keys.map(nameOf);
    const last = names.at(-1) ?? '';
    if (reserved.has(last)) refuse('is not a name for a key', placeIn(key), [...path, ...names].join('.'));
    const table = descend(root, names.slice(0, -1), path, key);
    mark([...path, ...names], key);
    table[last] = valueOf(value, [...path, ...names]);
  };

  try {
    const document = {};
    for (const item of parseTOML(text, { tomlVersion: '1.0' }).body[0].body) {
      if (item.type === 'TOMLKeyValue') put(document, item, []);
      else {
        const table = descend(document, item.resolvedKey, [], item);
        for (const pair of item.body) put(table, pair, item.resolvedKey);
      }
    }
    return { value: document, placeOf: (path) => placed(places, path) ?? start };
  } catch (error) {
    if (error instanceof DocumentRefused) throw error;
    if (error instanceof RangeError) return refuse('is nested too deeply', start);
    const { message, lineNumber = 1, column = 0 } = error as { message: string; lineNumber?: number; column?: number };
    return refuse(`is not TOML: ${message}`, { line: lineNumber, column: column + 1 });
  }
}

const nameOf = (key: AST.TOMLBare | AST.TOMLQuoted): string => (key.type === 'TOMLBare' ? key.name : key.value);
const placeIn = ({ loc }: { loc: AST.SourceLocation }): Place => ({
  line: loc.start.line,
  column: loc.start.column + 1,
});

function placed(places: ReadonlyMap<string, Place>, path: Path): Place | undefined {
  for (let length = path.length; length > 0; length -= 1) {
    const place = places.get(JSON.stringify(path.slice(0, length)));
    if (place) return place;
  }
  return undefined;
}
