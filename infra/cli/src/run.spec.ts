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
  expect(await postern(['--help'])).toMatchObject({ code: 0, out: expect.stringMatching(/^postern COMMAND/), err: '' });
  expect(await postern([])).toMatchObject({ code: 64, out: '', err: expect.stringMatching(/^postern COMMAND/) });
  expect(await postern(['unheard-of'])).toMatchObject({ code: 64, err: expect.stringContaining('unheard-of') });
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
  expect(painter({ interactive: true, environment: { NO_COLOR: '1' } })('red', 'x')).toBe('x');
  expect(painter({ interactive: true, environment: { TERM: 'dumb' } })('red', 'x')).toBe('x');
});

test('completion offers the words, the options and the values that there are', async () => {
  expect(await candidates(['au'])).toEqual(['audit']);
  expect(await candidates(['audit', ''])).toContain('verify');
  expect(await candidates(['audit', 'verify', '--k'])).toEqual(['--key']);
  expect(await postern(['completion', 'words', '--', 'tok'])).toMatchObject({ code: 0, out: 'token' });
});

test.each(['bash', 'zsh', 'fish'])(
  'there is a completion script for %s, and none for an unknown shell',
  async (shell) => {
    expect(await postern(['completion', shell])).toMatchObject({ code: 0, out: expect.stringContaining('postern') });
    expect(await postern(['completion', 'cmd.exe'])).toMatchObject({ code: 64 });
  },
);
