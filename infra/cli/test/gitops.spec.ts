import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parse as parseYaml } from 'yaml';
import { commands } from '../src/table/commands.ts';
import { find } from '../src/table/find.ts';
import { parse } from '../src/table/parse.ts';

const folder = join(import.meta.dirname, '../../keycloak/examples/gitops');
type Workflow = { jobs: Record<string, { steps: { run?: string }[] }> };

/** The command lines of a workflow, as the shell would split them. */
const linesOf = (file: string): string[][] => {
  const { jobs } = parseYaml(readFileSync(join(folder, file), 'utf8')) as Workflow;
  const runs = Object.values(jobs).flatMap(({ steps }) => steps.flatMap(({ run = '' }) => run.split('\n')));
  return runs.flatMap((line) => {
    const [, words] = /^npx postern ([^|]*)/.exec(line) ?? [];
    return words === undefined
      ? []
      : [
          words
            .trim()
            .replaceAll(/\$\{\{[^}]*\}\}/g, 'VALUE')
            .split(/\s+/),
        ];
  });
};

test.each(['deploy.yaml', 'watch.yaml'])('every command of the pipeline %s is one that there is', async (file) => {
  const lines = linesOf(file);
  expect(lines.length).toBeGreaterThan(1);
  for (const line of lines) {
    const found = find(commands, line);
    expect([line.join(' '), found === undefined]).toEqual([line.join(' '), false]);
    const { command } = await found!.entry.load();
    expect(() => parse(found!.entry.words, command, found!.rest)).not.toThrow();
  }
});
