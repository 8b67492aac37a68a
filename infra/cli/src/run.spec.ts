import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { painter } from './colours.ts';
import { type Terminal } from './outcome.ts';
import { run } from './run.ts';
import { candidates } from './table/complete.ts';
import { commands } from './table/commands.ts';

async function postern(argv: readonly string[], more: Partial<Terminal> = {}) {
  const lines = { out: [] as string[], err: [] as string[] };
  const code = await run(argv, {
    out: (line) => lines.out.push(line),
    err: (line) => lines.err.push(line),
    input: async () => '',
    folder: '/',
    interactive: false,
    environment: {},
    ...more,
  });
  return { code, out: lines.out.join('\n'), err: lines.err.join('\n') };
}

test.each(commands.map(({ words }) => [words.join(' '), words] as const))(
  'postern %s explains itself on stdout and names each of its options',
  async (name, words) => {
    const { code, out, err } = await postern([...words, '--help']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out.startsWith(`postern ${name}`)).toBe(true);
    const { command } = await (commands.find((one) => one.words === words) ?? fail()).load();
    for (const [option, { about }] of Object.entries(command.options)) {
      expect(out).toContain(`--${option}`);
      expect(about).not.toBe('');
    }
  },
);

function fail(): never {
  throw new Error('no such command');
}

test.each(commands.map(({ words }) => [words] as const))(
  'postern %j refuses an option it does not have, with 64',
  async (words) => {
    const { code, out, err } = await postern([...words, '--no-such-option']);
    expect({ code, out }).toEqual({ code: 64, out: '' });
    expect(err).toContain('no-such-option');
  },
);

test('the list is the answer to --help, and an error without it', async () => {
  expect(await postern(['help'])).toEqual(await postern(['--help']));
  expect(await postern(['--help'])).toMatchObject({ code: 0, out: expect.stringMatching(/^postern COMMAND/), err: '' });
  expect(await postern([])).toMatchObject({ code: 64, out: '', err: expect.stringMatching(/^postern COMMAND/) });
  for (const { words } of commands)
    expect(
      (await postern([])).err.split('\n').filter((line) => line.startsWith(`  postern ${words.join(' ')} `)),
    ).toHaveLength(1);
});

test('what was mistyped is named with what was probably meant, in a few lines and not in the whole list', async () => {
  expect(await postern(['valdate', '--json'])).toEqual({
    code: 64,
    out: '',
    err: 'there is no command valdate: do you mean postern validate?\npostern --help lists them',
  });
  expect((await postern(['keycloak', 'realm', 'exprot', 'x'])).err).toContain(
    'do you mean postern keycloak realm export?',
  );
  expect((await postern(['unheard-of'])).err).toBe('there is no command unheard-of\npostern --help lists them');
  expect((await postern(['validate', '--flie', 'x'])).err).toBe(
    'there is no option --flie: do you mean --file?\npostern validate [OPTIONS]\npostern validate --help says more',
  );
  expect((await postern(['validate', '--file'])).err).toMatch(/^--file needs a value\n/);
  expect((await postern(['validate', '--json=yes'])).err).toMatch(/^--json takes no value\n/);
  expect((await postern([`${'x'.repeat(100_000)}`])).code).toBe(64);
});

test('help of a command, and the version that everything here has', async () => {
  expect(await postern(['help', 'audit', 'verify'])).toEqual(await postern(['audit', 'verify', '--help']));
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  expect(await postern(['--version'])).toEqual({ code: 0, out: version, err: '' });
});

test('with --json a failure is one JSON object on stdout, and words on stderr', async () => {
  const { code, out, err } = await postern(['validate', '--json', '-f', 'nowhere.toml']);
  expect(code).toBe(66);
  expect(err).toBe('nowhere.toml cannot be read: there is no such file or folder');
  expect(JSON.parse(out)).toEqual({ error: { exitCode: 66, message: err } });
});

test('a group of commands lists its own', async () => {
  const { code, out } = await postern(['audit', '--help']);
  expect(code).toBe(0);
  expect(out).toContain('postern audit verify');
  expect(out).not.toContain('postern call');
});

test('colours only where a person reads, and never where NO_COLOR is set', async () => {
  const { err: plain } = await postern(['unheard-of']);
  expect(plain).not.toContain('\u001b');
  expect((await postern(['unheard-of'], { interactive: true })).err).toContain('\u001b[31m');
  const shown = { interactive: true, resultShown: true };
  expect(painter({ ...shown, environment: {} }, 'out')('red', 'x')).toBe('\u001b[31mx\u001b[0m');
  expect(painter({ ...shown, environment: { NO_COLOR: '1' } }, 'out')('red', 'x')).toBe('x');
  expect(painter({ ...shown, environment: { TERM: 'dumb' } }, 'err')('red', 'x')).toBe('x');
  // A person reads the problems, and a pipe the result.
  expect(painter({ interactive: true, resultShown: false, environment: {} }, 'out')('red', 'x')).toBe('x');
});

test('completion offers the words, the options and the values that there are', async () => {
  expect(await candidates(['au'])).toEqual(['audit']);
  expect(await candidates(['audit', ''])).toContain('verify');
  expect(await candidates(['audit', 'verify', '--k'])).toEqual(['--key']);
  expect(await candidates(['generate', 'te'])).toEqual(['test-script']);
  expect(await candidates(['completion', ''])).toEqual(['bash', 'zsh', 'fish', '--help']);
  expect(await postern(['completion', 'words', '--', 'tok'])).toMatchObject({ code: 0, out: 'token' });
});

test.each(['bash', 'zsh', 'fish'])(
  'there is a completion script for %s, and none for an unknown shell',
  async (shell) => {
    expect(await postern(['completion', shell])).toMatchObject({ code: 0, out: expect.stringContaining('postern') });
    expect(await postern(['completion', 'cmd.exe'])).toMatchObject({ code: 64 });
  },
);
