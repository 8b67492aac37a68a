import { styleText } from 'node:util';

const colour = (format: Parameters<typeof styleText>[0], text: string) =>
  process.stdout.isTTY && !process.env['NO_COLOR'] ? styleText(format, text) : text;

export const bold = (text: string) => colour('bold', text);
export const dim = (text: string) => colour('dim', text);
export const green = (text: string) => colour('green', text);
export const red = (text: string) => colour('red', text);

export const say = (line = '') => process.stdout.write(`${line}\n`);

export const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

/** Says which part failed, where its log is, and what to do about it. */
export class StepFailed extends Error {
  override readonly name = 'StepFailed';
  readonly step: string;
  readonly log: string | undefined;
  readonly remedy: string | undefined;
  constructor(step: string, cause: unknown, also: { log?: string; remedy?: string } = {}) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.step = step;
    this.log = also.log;
    this.remedy = also.remedy;
  }
}

export type Step = <T>(name: string, run: () => Promise<T>, also?: { log?: string; remedy?: string }) => Promise<T>;

/** Runs one step; a failure carries the step's name, its log and the way out. Nothing is printed. */
export const quietly: Step = async (name, run, also = {}) => {
  try {
    return await run();
  } catch (error) {
    throw error instanceof StepFailed ? error : new StepFailed(name, error, also);
  }
};

/** Runs one step and prints a line with its time; fails as `quietly` does. */
export const step: Step = async (name, run, also) => {
  const started = performance.now();
  try {
    const result = await quietly(name, run, also);
    say(`  ${green('✓')} ${name.padEnd(52)} ${dim(seconds(performance.now() - started))}`);
    return result;
  } catch (error) {
    say(`  ${red('✗')} ${name}`);
    throw error;
  }
};

/** Prints rows as a table with a header; the widths follow the longest cell of each column. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const line = (cells: readonly string[]) =>
    '  ' +
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  say(bold(line(header)));
  say(dim('  ' + widths.map((width) => '─'.repeat(width)).join('  ')));
  for (const row of rows) say(line(row));
}
