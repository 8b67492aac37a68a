import { parseArgs } from 'node:util';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { type Command, type Given, type Options } from './command.ts';
import { usageOf } from './help.ts';
import { meant } from './nearest.ts';

/**
 * Reads a command line by the command's own declaration.
 * @throws CommandFailed (64) for an unknown option, a value that is not among those declared, too few or too many words
 */
export function parse(words: readonly string[], command: Command, argv: readonly string[]): Given<Options> {
  const wrong = (reason: string): never => {
    throw new CommandFailed(
      exitCodes.usage,
      `${reason}\n${usageOf(words, command)}\npostern ${words.join(' ')} --help says more`,
    );
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
      return wrong(refusal(error as Error & { code?: string }, Object.keys(options)));
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

/** What is wrong, without what node:util advises its callers. */
function refusal({ code, message }: Error & { code?: string }, known: readonly string[]): string {
  const [option = ''] = /--[a-z][^' ,]*/.exec(message) ?? /-[^' ,-]/.exec(message) ?? [];
  if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION')
    return `there is no option ${option}${meant(
      option,
      known.map((name) => `--${name}`),
    )}`;
  if (code === 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE')
    return message.includes('does not take') ? `${option} takes no value` : `${option} needs a value`;
  return message;
}
