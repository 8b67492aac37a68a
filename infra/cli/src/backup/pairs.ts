import { CommandFailed, exitCodes } from '../outcome.ts';

/** `NAME=value` words of an option that may be repeated. @throws CommandFailed naming the option */
export function pairsOf(option: string, words: readonly string[]): Map<string, string> {
  const pairs = new Map<string, string>();
  for (const word of words) {
    const [, name, value] = /^([a-z][a-z0-9-]{0,62})=(.+)$/.exec(word) ?? [];
    if (name === undefined || value === undefined)
      throw new CommandFailed(exitCodes.usage, `--${option} is NAME=..., the name in small letters and dashes`);
    if (pairs.has(name)) throw new CommandFailed(exitCodes.usage, `--${option} ${name} stands twice`);
    pairs.set(name, value);
  }
  return pairs;
}

/** The databases by service. Addresses are seen in the list of processes: no password may be in one. */
export function databasesOf(words: readonly string[]): Map<string, string> {
  const databases = pairsOf('database', words);
  if (databases.size === 0) throw new CommandFailed(exitCodes.usage, '--database NAME=URL is needed, once a service');
  for (const [name, text] of databases) {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined || !/^postgres(ql)?:$/.test(url.protocol))
      throw new CommandFailed(exitCodes.usage, `--database ${name} is not a postgresql:// address`);
    if (url.password !== '' || url.searchParams.has('password') || url.searchParams.has('sslpassword'))
      throw new CommandFailed(exitCodes.usage, `--database ${name} holds a password: use a certificate, or PGPASSFILE`);
  }
  return databases;
}
