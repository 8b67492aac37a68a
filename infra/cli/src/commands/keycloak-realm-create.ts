import { appendTable, tomlText } from '../keycloak/append.ts';
import { fileOption } from '../keycloak/document.ts';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { defineCommand } from '../table/command.ts';

export const command = defineCommand({
  takes: '--name NAME',
  about:
    'Adds a realm to the document (and makes the document where there is none: then --hostname is needed). `postern apply` makes it live.',
  options: {
    ...fileOption,
    name: { type: 'string', value: 'NAME', about: 'the realm' },
    'display-name': { type: 'string', value: 'TEXT', about: 'what people read' },
    profile: {
      type: 'string',
      value: 'PROFILE',
      among: ['fedramp-low', 'fedramp-moderate', 'fedramp-high'],
      about: 'of a new document',
    },
    hostname: { type: 'string', value: 'HOST', about: 'of a new document' },
    'dry-run': { type: 'boolean', about: 'only print what would be added' },
  },
  async run({ values }, terminal) {
    const { name, profile = 'fedramp-moderate', hostname } = values;
    if (name === undefined) throw new CommandFailed(exitCodes.usage, '--name says how the realm is called');
    const first = `[app]\nname = ${tomlText(name)}\nprofile = "${profile}"\n\n[keycloak]\n${hostname ? `hostname = ${tomlText(hostname)}\n` : ''}`;
    const lines = [`[keycloak.realm.${/^[a-z0-9-]+$/.test(name) ? name : tomlText(name)}]`];
    if (values['display-name']) lines.push(`display_name = ${tomlText(values['display-name'])}`);
    return appendTable({ file: values.file, dry: values['dry-run'], first }, lines, terminal);
  },
});
