import { planRealm } from '@postern/keycloak';
import { exitCodes } from '../outcome.ts';
import { compiledRealms, fileOption, openDocument } from '../keycloak/document.ts';
import { serverOptions, withServer } from '../keycloak/server.ts';
import { defineCommand } from '../table/command.ts';
import { tellPlan } from './apply.ts';

export const command = defineCommand({
  about:
    'Says how live realms differ from the document, and whether it was the document or the realm that changed. Exit code 3 where they do.',
  options: {
    ...fileOption,
    ...serverOptions,
    name: { type: 'string', value: 'NAME', about: 'this realm only' },
    json: { type: 'boolean', about: 'a list of { realm, steps }' },
  },
  async run({ values }, terminal) {
    const document = await openDocument(values.file, terminal);
    const wanted = compiledRealms(document, values.name, '--name');
    return withServer(values, document, terminal, async (admin) => {
      const plans = [];
      for (const realm of wanted) plans.push(await planRealm(admin, realm));
      if (values.json) terminal.out(JSON.stringify(plans.map(({ realm, steps }) => ({ realm, steps }))));
      else for (const plan of plans) tellPlan(plan, terminal);
      return plans.some(({ steps }) => steps.length > 0) ? exitCodes.drift : exitCodes.done;
    });
  },
});
