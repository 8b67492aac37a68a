/**
 * The numbers of sysexits.h where one fits. `invalid` is a document that breaks its schema or a rule, `drift` is a live
 * system that differs from what is wanted.
 */
export const exitCodes = {
  done: 0,
  refused: 1,
  invalid: 2,
  drift: 3,
  usage: 64,
  noInput: 66,
  unreachable: 69,
  software: 70,
  cannotWrite: 73,
  configuration: 78,
} as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Ends the command with a line on stderr and this exit code. */
export class CommandFailed extends Error {
  readonly exitCode: ExitCode;
  /** What `--json` says of the failure beside exit code and message: `problems` of a document, the `index` of an entry. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(exitCode: ExitCode, message: string, details: Readonly<Record<string, unknown>> = {}) {
    super(message);
    this.name = 'CommandFailed';
    this.exitCode = exitCode;
    this.details = details;
  }
}

/** Where a command writes and looks: the process in `main.ts`, memory in the tests. */
export type Terminal = {
  /** A line of the result: what a pipe reads. */
  out(line: string): void;
  /** A line for a person: problems, progress. */
  err(line: string): void;
  /** All of standard input, for a command that reads a pipe. */
  input(): Promise<string>;
  /** The working folder, which relative paths start from. */
  folder: string;
  /** Whether a person reads `err`: then there may be colours and progress. */
  interactive: boolean;
  /** Whether a person reads `out`; left out, it is a pipe or a file, and stays plain. */
  resultShown?: boolean;
  environment: Readonly<Record<string, string | undefined>>;
};
