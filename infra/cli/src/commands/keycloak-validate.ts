import { counted } from '../counted.ts';
import { exitCodes } from '../outcome.ts';
import { fileOption, openDocument, tellFindings } from '../keycloak/document.ts';
import { defineCommand } from '../table/command.ts';

export const command = defineCommand({
  about:
    'Checks postern.toml: schema, profile, rules, and that every realm compiles. Exit code 2 where it may not be used.',
  options: {
    ...fileOption,
    json: { type: 'boolean', about: 'profile, realms, clients and findings as one JSON object' },
  },
  async run({ values }, terminal) {
    const document = await openDocument(values.file, terminal);
    const { profile, realms, findings } = document;
    const clients = realms.flatMap((realm) => realm.clients);
    if (values.json) {
      terminal.out(
        JSON.stringify({
          valid: true,
          profile: profile.name,
          realms: realms.map(({ name }) => name),
          clients: clients.map(({ clientId }) => clientId),
          findings,
        }),
      );
    } else {
      tellFindings(document, terminal);
      terminal.out(
        `${values.file} is valid: ${profile.name}, ${counted(realms.length, 'realm')}, ${counted(clients.length, 'client')}, ${counted(findings.length, 'finding')}`,
      );
    }
    return exitCodes.done;
  },
});
