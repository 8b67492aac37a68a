import { compileRealm, liveRealm, modelsOf, stableJson } from '@postern/keycloak';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { fileOption, openDocument } from '../keycloak/document.ts';
import { serverOptions, withServer } from '../keycloak/server.ts';
import { defineCommand } from '../table/command.ts';

export const command = defineCommand({
  about: `Prints a realm as sorted JSON, for Git: compiled from the document, or with --live as the running server has it (without users; secrets
are stars). With --all a list of every realm of the document.`,
  options: {
    ...fileOption,
    ...serverOptions,
    name: { type: 'string', value: 'NAME', about: 'the realm' },
    all: { type: 'boolean', about: "all of the document's realms" },
    live: { type: 'boolean', about: 'as the running server has it' },
  },
  async run({ values }, terminal) {
    const document = await openDocument(values.file, terminal);
    const models = modelsOf(document).filter(({ name }) => values.all || name === values.name);
    if (models.length === 0)
      throw new CommandFailed(
        exitCodes.usage,
        `--name is one of ${document.realms.map(({ name }) => name).join(', ')}, or --all`,
      );
    const realms = values.live
      ? await withServer(values, document, terminal, async (admin) => {
          const found = [];
          for (const { name } of models) found.push((await liveRealm(admin, name)) ?? refuse(name));
          return found;
        })
      : models.map(compileRealm);
    terminal.out(stableJson(values.all ? realms : realms[0]).replace(/\n$/, ''));
    return exitCodes.done;
  },
});

function refuse(name: string): never {
  throw new CommandFailed(exitCodes.refused, `the server has no realm ${name}`);
}
