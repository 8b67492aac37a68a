import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { capabilities, limits, operations } from '../../src/providers/capabilities.ts';
import { providerKinds } from '../../src/providers/provider-kind.ts';

const README = join(import.meta.dirname, '../../README.md');
const BEGIN = '<!-- matrix: begin (written by test/contract) -->';
const END = '<!-- matrix: end -->';

/** The matrix as Markdown, in Prettier's own form: providers across, operations and limits down. */
export function matrix(): string {
  const rows = [
    ['', ...providerKinds],
    ...operations.map((operation) => [operation, ...providerKinds.map((kind) => capabilities[kind][operation])]),
    ['longest text, bytes', ...providerKinds.map((kind) => String(limits[kind].valueBytes))],
    ['longest binary, bytes', ...providerKinds.map((kind) => String(limits[kind].binaryBytes))],
    ['longest name there', ...providerKinds.map((kind) => String(limits[kind].referenceCharacters))],
    ['tags', ...providerKinds.map((kind) => String(limits[kind].tags))],
    ['days to recover', ...providerKinds.map((kind) => String(limits[kind].recoveryDays ?? 'no end'))],
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const line = (cells: string[]) => `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const [head = [], ...body] = rows;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('\n');
}

const inReadme = (text: string) => `${BEGIN}\n\n${text}\n\n${END}`;

/** Whether the README has it; with POSTERN_WRITE_MATRIX set it is written there. */
export function readmeHasMatrix(): boolean {
  const readme = readFileSync(README, 'utf8');
  const wanted = readme.replace(new RegExp(`${BEGIN.replace(/[()]/g, '\\$&')}[^]*${END}`), () => inReadme(matrix()));
  if (process.env['POSTERN_WRITE_MATRIX']) writeFileSync(README, wanted);
  return wanted.includes(inReadme(matrix())) && (wanted === readme || Boolean(process.env['POSTERN_WRITE_MATRIX']));
}
