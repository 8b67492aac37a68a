import { parseArgs } from 'node:util';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { type Command, type Given, type Options } from './command.ts';
import { helpOf } from './help.ts';

/**
 * Reads a command line by the command's own declaration.
 * @throws CommandFailed (64) for an unknown option, a value that is not among those declared, too few or too many words
 */
export function parse(words: readonly string[], command: Command, argv: readonly string[]): Given<Options> {
  const wrong = (reason: string): never => {
    throw new CommandFailed(exitCodes.usage, `${reason}\n\n${helpOf(words, command)}`);
  };
  const [least, most] = command.positionals ?? [0, 0];
  const options = Object.fromEntries(
    Object.entries(command.options).map(([name, { type, multiple, short, default: standard }]) => [
      name,
      {
        type,
        ...(multiple ? { multiple } : {}),
        ...(short ? { short } : {}),
        ...(type === 'boolean' ? { default: false } : {}),
        ...(multiple ? { default: [] } : {}),
        ...(standard === undefined ? {} : { default: standard }),
      },
    ]),
  );
  const read = () => {
    try {
      return parseArgs({ args: [...argv], allowPositionals: true, options });
    } catch (error) {
      // node:util names the option that it does not know.
      return wrong(String((error as Error).message));
    }
  };
  const { values, positionals } = read();
  for (const [name, { among }] of Object.entries(command.options)) {
    const given = [values[name] ?? []].flat().find((value) => among && !among.includes(String(value)));
    if (given !== undefined) wrong(`--${name} is one of ${among?.join(', ')}`);
  }
  if (positionals.length < least || positionals.length > most) {
    wrong(`postern ${words.join(' ')} takes ${command.takes ?? 'no words'}`);
  }
  return { values, positionals } as Given<Options>;
}
