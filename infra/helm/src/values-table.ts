import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { place } from './place.ts';
import { valuesJsonSchema } from './values.ts';

const BEGIN = '<!-- values: begin (generated from src/values.ts) -->';
const END = '<!-- values: end -->';

type Schema = {
  $ref?: string;
  definitions?: Record<string, Schema>;
  description?: string;
  type?: string;
  enum?: unknown[];
  pattern?: string;
  anyOf?: Schema[];
  properties?: Record<string, Schema>;
};

/** The README with the table of values as the schema and values.yaml give it. */
export function readmeWithValues(): string {
  const readme = readFileSync(place('README.md'), 'utf8');
  const [before, rest = ''] = readme.split(BEGIN);
  const after = rest.split(END)[1] ?? '';
  return `${before}${BEGIN}\n\n${valuesTable()}\n\n${END}${after}`;
}

function valuesTable(): string {
  const defaults = parse(readFileSync(place('postern/values.yaml'), 'utf8'), { merge: true }) as unknown;
  const whole = valuesJsonSchema() as Schema;
  const rows = rowsOf(whole, defaults, [], whole.definitions ?? {});
  return table([['value', 'default', 'meaning'], ...rows]);
}

/** One row a leaf; the five services are alike, so the first stands for all. */
function rowsOf(node: Schema, value: unknown, path: string[], definitions: Record<string, Schema>): string[][] {
  const schema = { ...definitions[node.$ref?.split('/').pop() ?? ''], ...node };
  const whole = path.length === 1 && path[0] === 'policy';
  if (schema.properties === undefined || whole) return path[0] === 'global' ? [] : [rowOf(schema, value, path)];
  const fields = Object.entries(schema.properties);
  const shown = path.length === 1 && path[0] === 'services' ? fields.slice(0, 1) : fields;
  return shown.flatMap(([name, field]) =>
    rowsOf(field, (value as Record<string, unknown> | undefined)?.[name], [...path, name], definitions),
  );
}

function rowOf(schema: Schema, value: unknown, path: string[]): string[] {
  const name = path.join('.').replace('services.token-exchange', 'services.<name>');
  const shown = value === undefined || value === null || value === '' ? '' : `\`${JSON.stringify(value)}\``;
  return [`\`${name}\``, shown, [allowed(schema), schema.description].filter((part) => part).join('; ')];
}

const allowed = ({ enum: values }: Schema): string =>
  values === undefined ? '' : values.map((value) => `\`${String(value)}\``).join(', ');

/** Markdown as prettier writes it: columns padded to the widest cell. */
function table(rows: string[][]): string {
  const cells = rows.map((row) => row.map((cell) => cell.replaceAll('|', '\\|')));
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0), 3));
  const line = (row: string[]) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const [head = [], ...body] = cells;
  return [line(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...body.map(line)].join('\n');
}
