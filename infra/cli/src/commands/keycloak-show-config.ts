import { type Origin } from '@postern/keycloak';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { fileOption, openDocument } from '../keycloak/document.ts';
import { defineCommand } from '../table/command.ts';

const said = (origin: Origin): string =>
  origin.from === 'profile'
    ? origin.profile
    : origin.from === 'default'
      ? 'default'
      : `${origin.from}, line ${origin.line}`;

export const command = defineCommand({
  takes: '[KEY-PREFIX]',
  positionals: [0, 1],
  about:
    'Shows every effective value and where it comes from: profile, override, document or default. References, no secrets.',
  options: {
    ...fileOption,
    json: { type: 'boolean', about: 'a list of { key, value, origin, control }' },
  },
  async run({ values, positionals: [prefix = ''] }, terminal) {
    const { settings } = await openDocument(values.file, terminal);
    const chosen = settings.filter(({ key }) => key.startsWith(prefix));
    if (chosen.length === 0) throw new CommandFailed(exitCodes.usage, `no key of the document begins with ${prefix}`);
    if (values.json) terminal.out(JSON.stringify(chosen));
    else
      for (const { key, value, origin, control } of chosen)
        terminal.out(`${key} = ${JSON.stringify(value)}  # ${said(origin)}${control ? `  [${control}]` : ''}`);
    return exitCodes.done;
  },
});
