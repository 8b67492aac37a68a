/** The numbers of sysexits.h where one fits. */
export const exitCodes = { done: 0, refused: 1, usage: 64, unreachable: 69, software: 70, configuration: 78 } as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Ends the command with a line on stderr and this exit code. */
export class CommandFailed extends Error {
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string) {
    super(message);
    this.name = 'CommandFailed';
    this.exitCode = exitCode;
  }
}

/** Where a command writes and looks: the process in `main.ts`, memory in the tests. */
export type Terminal = { out(line: string): void; err(line: string): void; folder: string };
