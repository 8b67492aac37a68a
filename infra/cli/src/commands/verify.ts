import { assess, compileRealm, modelsOf } from '@postern/keycloak';
import { painter } from '../colours.ts';
import { exitCodes } from '../outcome.ts';
import { fileOption, openDocument } from '../keycloak/document.ts';
import { serverOptions, withServer } from '../keycloak/server.ts';
import { defineCommand } from '../table/command.ts';
import { textOf } from '../text-of.ts';

export const command = defineCommand({
  about:
    'Checks every control of every realm on a running Keycloak: its settings, and what can be seen from outside. Changes nothing. Exit code 1 where one is not satisfied.',
  options: {
    ...fileOption,
    ...serverOptions,
    json: { type: 'boolean', about: 'the results, as a list' },
  },
  async run({ values }, terminal) {
    const document = await openDocument(values.file, terminal);
    const paint = painter(terminal, 'out');
    return withServer(values, document, terminal, async (admin, url) => {
      const results = await assess(admin, modelsOf(document).map(compileRealm), {
        url,
        ...(values.ca ? { ca: textOf(values.ca, terminal) } : {}),
        now: () => new Date(),
      });
      if (values.json) terminal.out(JSON.stringify(results));
      else
        for (const { realm, control, satisfied, observed } of results)
          terminal.out(
            `${paint(satisfied ? 'green' : 'red', satisfied ? 'satisfied    ' : 'NOT satisfied')} ${realm} ${control}: ${observed.join('; ')}`,
          );
      return results.every(({ satisfied }) => satisfied) ? exitCodes.done : exitCodes.refused;
    });
  },
});
