import { appendTable, tomlList, tomlText } from '../keycloak/append.ts';
import { fileOption } from '../keycloak/document.ts';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { defineCommand } from '../table/command.ts';

export const command = defineCommand({
  takes: '--client-id ID',
  about: 'Adds a client to the document. `postern apply` makes it live.',
  options: {
    ...fileOption,
    realm: { type: 'string', value: 'NAME', about: 'its realm; the only one unless given' },
    'client-id': { type: 'string', value: 'ID', about: 'the client' },
    type: { type: 'string', among: ['public', 'confidential', 'bearer-only'], about: 'whether it can keep a key' },
    kind: { type: 'string', among: ['web-app', 'api-service', 'cli-tool', 'worker'], about: 'what it is for' },
    'redirect-uri': {
      type: 'string',
      multiple: true,
      value: 'URL',
      about: 'where its logins come back to; may be repeated',
    },
    'dry-run': { type: 'boolean', about: 'only print what would be added' },
  },
  async run({ values }, terminal) {
    const { 'client-id': id, realm, type, kind, 'redirect-uri': uris } = values;
    if (id === undefined) throw new CommandFailed(exitCodes.usage, '--client-id says how the client is called');
    const table = id.toLowerCase().replace(/[^a-z0-9-]+/g, '-');
    const lines = [`[keycloak.client.${table || tomlText(id)}]`];
    if (realm) lines.push(`realm = ${tomlText(realm)}`);
    if (table !== id) lines.push(`client_id = ${tomlText(id)}`);
    if (type) lines.push(`type = "${type}"`);
    if (kind) lines.push(`kind = "${kind}"`);
    if (uris.length > 0) lines.push(`redirect_uris = ${tomlList(uris)}`);
    return appendTable({ file: values.file, dry: values['dry-run'] }, lines, terminal);
  },
});
