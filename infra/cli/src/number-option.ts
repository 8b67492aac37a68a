import { CommandFailed, exitCodes } from './outcome.ts';

/** The number that an option gives. @throws CommandFailed (64) naming the option and its bounds */
export function numberIn(text: string, option: string, most: number): number {
  const number = Number(text);
  if (!/^\d{1,5}(\.\d{1,5})?$/.test(text) || number > most)
    throw new CommandFailed(exitCodes.usage, `${option} is a number from 0 to ${most}`);
  return number;
}
