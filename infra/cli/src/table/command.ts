import { type ExitCode, type Terminal } from '../outcome.ts';

/** One option of a command, as `node:util`'s parseArgs takes it, with what `--help` says of it. */
export type Option = {
  type: 'string' | 'boolean';
  multiple?: true;
  short?: string;
  default?: string;
  /** How the value is written in the help: `FILE`. */
  value?: string;
  about: string;
  /** The values that there are: checked before the command runs, and offered by completion. */
  among?: readonly string[];
};

export type Options = Readonly<Record<string, Option>>;

type ValueOf<O extends Option> = O extends { type: 'boolean' }
  ? boolean
  : O extends { multiple: true }
    ? string[]
    : O extends { default: string }
      ? string
      : string | undefined;

export type Given<O extends Options> = {
  values: { [Name in keyof O]: ValueOf<O[Name]> };
  positionals: readonly string[];
};

export type Command<O extends Options = Options> = {
  /** What stands after the words in the first line of the help: `RECEIPT`, `METHOD URL|SERVICE/PATH`. */
  takes?: string;
  /** Fewest and most words beyond the options. */
  positionals?: readonly [least: number, most: number];
  /** Sentences of the help, before the options. */
  about: string;
  options: O;
  /** Written to nothing but the terminal and the files it names; an error is a `CommandFailed`. */
  run(given: Given<O>, terminal: Terminal): Promise<ExitCode>;
};

/** Keeps the types of a command's options for its `run`. A command file exports the result as `command`. */
export const defineCommand = <const O extends Options>(command: Command<O>): Command => command as unknown as Command;

/** A line of the table: the words, one line for the list, and the file, loaded when the command runs. */
export type Entry = {
  words: readonly string[];
  summary: string;
  load(): Promise<{ command: Command }>;
};

export const entry = (words: string, summary: string, load: Entry['load']): Entry => ({
  words: words.split(' '),
  summary,
  load,
});
