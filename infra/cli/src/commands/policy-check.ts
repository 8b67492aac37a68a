import { checkPolicy, policyChecks, policyDocument, type CheckResult } from '@postern/policy';
import { type z } from 'zod';
import { painter } from '../colours.ts';
import { counted } from '../counted.ts';
import { CommandFailed, exitCodes, type Terminal } from '../outcome.ts';
import { defineCommand } from '../table/command.ts';
import { textOf } from '../text-of.ts';

export const command = defineCommand({
  takes: 'POLICY',
  positionals: [1, 1],
  about:
    'Reads a policy document as token-exchange would, and holds it to a file of expectations. Exit code 1: one does not hold; 2: a file is not well-formed.',
  options: {
    checks: { type: 'string', value: 'FILE', about: 'JSON: who asks for what, and what must come of it' },
    json: { type: 'boolean', about: 'the results as JSON' },
  },
  async run({ values, positionals }, terminal) {
    const policy = read(positionals[0] ?? '', policyDocument, terminal);
    const results = values.checks === undefined ? [] : checkPolicy(policy, read(values.checks, policyChecks, terminal));
    const failed = results.filter(({ holds }) => !holds).length;
    if (values.json) terminal.out(JSON.stringify({ version: policy.version, results }));
    else {
      for (const result of results) terminal.out(lineOf(result, painter(terminal, 'out')));
      terminal.out(
        `${policy.version} is well-formed; ${results.length - failed} of ${counted(results.length, 'expectation')} hold`,
      );
    }
    return failed === 0 ? exitCodes.done : exitCodes.refused;
  },
});

/** @throws CommandFailed naming the file and each place that is wrong */
function read<Schema extends z.ZodType>(path: string, schema: Schema, terminal: Terminal): z.output<Schema> {
  const text = textOf(path, terminal);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new CommandFailed(exitCodes.invalid, `${path} is not JSON`);
  }
  const { success, data, error } = schema.safeParse(value);
  if (success) return data;
  const places = error.issues.map(({ path: at, message }) => `${path}: ${at.join('.') || '(document)'}: ${message}`);
  throw new CommandFailed(exitCodes.invalid, places.join('\n'));
}

function lineOf({ holds, name, expected, decided }: CheckResult, paint: ReturnType<typeof painter>): string {
  return holds
    ? `${paint('green', '✓')} ${name}`
    : `${paint('red', '✗')} ${name}: expected ${expected}, decided ${decided}`;
}
