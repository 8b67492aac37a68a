import { compileRealm, endpointsOf, issuerOf, modelsOf, stableJson } from '@postern/keycloak';
import { fileOption, openDocument } from '../keycloak/document.ts';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { defineCommand } from '../table/command.ts';

export const command = defineCommand({
  takes: '--client-id ID',
  about:
    "Prints what a client's team needs: issuer, endpoints, how it proves itself, and its representation. No secret.",
  options: {
    ...fileOption,
    realm: { type: 'string', value: 'NAME', about: 'its realm, where several have such a client' },
    'client-id': { type: 'string', value: 'ID', about: 'the client' },
  },
  async run({ values }, terminal) {
    const wanted = values['client-id'];
    if (wanted === undefined) throw new CommandFailed(exitCodes.usage, '--client-id ID says which client');
    const document = await openDocument(values.file, terminal);
    const found = modelsOf(document)
      .filter(({ name }) => values.realm === undefined || name === values.realm)
      .flatMap((model) => compileRealm(model).clients.map((client) => ({ realm: model.name, client })))
      .filter(({ client }) => client.clientId === wanted);
    const [one] = found;
    if (!one || found.length > 1) {
      const said = one
        ? `${found.length} realms have this client: --realm says which`
        : `the document has no such client; it has ${document.realms.flatMap(({ clients }) => clients.map(({ clientId }) => clientId)).join(', ') || 'none'}`;
      throw new CommandFailed(exitCodes.usage, said);
    }
    const resolved = document.realms
      .find(({ name }) => name === one.realm)
      ?.clients.find(({ clientId }) => clientId === one.client.clientId);
    terminal.out(
      stableJson({
        ...endpointsOf(issuerOf(document, one.realm)),
        clientId: one.client.clientId,
        clientAuthentication: resolved?.authentication ?? 'none',
        senderConstraint: resolved?.binding ?? 'none',
        client: one.client,
      }).replace(/\n$/, ''),
    );
    return exitCodes.done;
  },
});
