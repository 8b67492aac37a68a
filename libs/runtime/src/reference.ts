import { readFileSync, writeFileSync } from 'node:fs';
import type { Setting, Settings } from './setting.ts';

const BEGIN = '<!-- settings: begin (generated from src/config.ts) -->';
const END = '<!-- settings: end -->';

/** The reference of `settings` as a Markdown table, formatted as prettier would. */
export function settingsTable(settings: Settings): string {
  const rows = Object.entries(settings).map(([name, declared]) => [
    `\`${name}\``,
    inCell(declared.doc),
    fallback(declared),
  ]);
  const all = [['variable', 'meaning', 'default'], ...rows];
  const widths = [0, 1, 2].map((column) => Math.max(3, ...all.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) => `| ${row.map((cell, at) => cell.padEnd(widths[at]!)).join(' | ')} |`;
  return [line(all[0]!), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

/** The text of an `.env.example`: every variable with its meaning; required ones open, the others commented out. */
export function envExample(settings: Settings): string {
  return Object.entries(settings)
    .map(([name, declared]) => {
      const { secret, example, default: byDefault } = declared.options;
      const required = fallback(declared) === 'required';
      const value = secret ? '' : (example ?? (byDefault === undefined ? '' : String(byDefault)));
      const shown = secret ? `${name}_FILE=/run/secrets/${name.toLowerCase()}` : `${name}=${value}`;
      return `# ${declared.doc}\n${required ? '' : '# '}${shown}\n`;
    })
    .join('\n');
}

/**
 * `readme` with the settings table between its two marker lines replaced.
 * @throws Error when the markers are missing: add them where the table is to stand.
 */
export function withSettingsTable(readme: string, settings: Settings): string {
  const from = readme.indexOf(BEGIN);
  const to = readme.indexOf(END);
  if (from < 0 || to < from) throw new Error(`the README has no lines "${BEGIN}" and "${END}"`);
  return `${readme.slice(0, from)}${BEGIN}\n\n${settingsTable(settings)}\n\n${readme.slice(to)}`;
}

/**
 * Holds a project's README and `.env.example` in step with its settings. A spec calls it with `write: false` and expects `[]`;
 * the same call with `write: true` rewrites them. Returns the files that differ from what the settings say.
 */
export function settingsReference(
  settings: Settings,
  files: { readme: string; example?: string },
  write: boolean,
): string[] {
  const wanted = [{ file: files.readme, text: withSettingsTable(readFileSync(files.readme, 'utf8'), settings) }];
  if (files.example !== undefined) wanted.push({ file: files.example, text: envExample(settings) });
  const stale = wanted.filter(({ file, text }) => textOf(file) !== text);
  if (write) for (const { file, text } of stale) writeFileSync(file, text);
  return stale.map(({ file }) => file);
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function fallback({ schema, options }: Setting): string {
  if (options.default !== undefined) return `\`${String(options.default)}\``;
  return schema.safeParse(undefined).success ? 'none' : 'required';
}

const inCell = (text: string): string => text.replaceAll('|', '\\|');
