import { CommandFailed, type ExitCode, exitCodes } from '../outcome.ts';
import { reachService } from '../reach-service.ts';
import { runProcess } from '../secrets/run-process.ts';
import { defineCommand } from '../table/command.ts';

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;

export const command = defineCommand({
  takes: '--env NAME=SECRET... -- PROGRAM...',
  positionals: [1, 10_000],
  about:
    'Runs a program with secrets of key-proxy in its environment, or in files that are gone when it ends. Every secret is read first: where one cannot be, the program is not run. Signals are passed on, and its exit code is the command’s.',
  options: {
    env: {
      type: 'string',
      multiple: true,
      value: 'NAME=SECRET',
      about: 'the secret in this variable; may be repeated',
    },
    file: {
      type: 'string',
      multiple: true,
      value: 'NAME=SECRET',
      about: 'the secret in a file of mode 0600, whose path is in this variable; may be repeated',
    },
    as: { type: 'string', value: 'NAME', about: 'a user or workload of the development stack' },
    from: { type: 'string', value: 'URL', about: 'key-proxy, where there is no development stack; then also:' },
    cert: { type: 'string', value: 'FILE', about: 'certificate of the workload' },
    key: { type: 'string', value: 'FILE', about: 'its private key' },
    ca: { type: 'string', value: 'FILE', about: 'CA of key-proxy' },
    token: { type: 'string', value: 'FILE', about: 'a token for key-proxy with secrets:read' },
  },
  async run({ values, positionals }, terminal) {
    const variables = values.env.map(pairOf);
    const files = values.file.map(pairOf);
    if (variables.length + files.length === 0)
      throw new CommandFailed(exitCodes.usage, '--env or --file says which secrets');
    const { postern, as } = await reachService(values, 'keyProxy', terminal);
    const read = async ([variable, name]: readonly [string, string]) => {
      const { value } = await postern.secrets.read(name, as);
      const bytes = 'text' in value ? Buffer.from(value.text, 'utf8') : Buffer.from(value.base64, 'base64');
      return [variable, bytes] as const;
    };
    let held: { variables: (readonly [string, Buffer])[]; files: (readonly [string, Buffer])[] };
    try {
      held = { variables: await Promise.all(variables.map(read)), files: await Promise.all(files.map(read)) };
    } finally {
      await postern.close();
    }
    const texts = held.variables.map(([name, bytes]) => {
      if (bytes.includes(0)) throw new CommandFailed(exitCodes.refused, `${name} would hold a NUL: use --file`);
      return [name, bytes.toString('utf8')] as const;
    });
    const [program = '', ...arguments_] = positionals;
    const code = await runProcess({
      command: program,
      arguments_,
      environment: { ...terminal.environment, ...Object.fromEntries(texts) },
      folder: terminal.folder,
      files: new Map(held.files),
    });
    // The program's own code, whatever it means.
    return code as ExitCode;
  },
});

/** @throws CommandFailed (64) */
function pairOf(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  const [name, secret] = [text.slice(0, at), text.slice(at + 1)];
  if (at < 1 || !VARIABLE.test(name) || secret === '')
    throw new CommandFailed(exitCodes.usage, 'a secret is named as NAME=SECRET, NAME being a variable');
  return [name, secret];
}
