import { applyPlan, planRealm, type Plan, type Step } from '@postern/keycloak';
import { painter } from '../colours.ts';
import { exitCodes, type Terminal } from '../outcome.ts';
import { compiledRealms, fileOption, openDocument, tellFindings } from '../keycloak/document.ts';
import { resolveSecret } from '../keycloak/secrets.ts';
import { serverOptions, withServer } from '../keycloak/server.ts';
import { defineCommand } from '../table/command.ts';

const signs = { create: '+', update: '~', delete: '-' } as const;
const colours = { create: 'green', update: 'yellow', delete: 'red' } as const;
const shown = (value: unknown) => (value === undefined ? '(none)' : JSON.stringify(value).slice(0, 120));

/** A plan as a person reads it. */
export function tellPlan({ realm, steps }: Plan, terminal: Terminal): void {
  const paint = painter(terminal, 'out');
  if (steps.length === 0) terminal.out(`realm ${realm}: nothing to do`);
  for (const { action, kind, name, because, differences } of steps) {
    terminal.out(paint(colours[action], `${signs[action]} ${realm}: ${kind} ${name} (${because})`));
    for (const { path, wanted, live } of differences) terminal.out(`    ${path}: ${shown(live)} -> ${shown(wanted)}`);
  }
}

const plain = ({ action, kind, name, because, differences }: Step) => ({ action, kind, name, because, differences });

export const command = defineCommand({
  about: `Makes a running Keycloak what the document says. Compares what was applied last, what is wanted and what is live; removes
only what it made itself. With --plan it changes nothing: exit code 0 where nothing is to be done, 3 where something is.`,
  options: {
    ...fileOption,
    ...serverOptions,
    plan: { type: 'boolean', about: 'only say what would be done' },
    realm: { type: 'string', value: 'NAME', about: 'this realm only' },
    json: { type: 'boolean', about: 'a list of { realm, steps }' },
  },
  async run({ values }, terminal) {
    const document = await openDocument(values.file, terminal);
    const wanted = compiledRealms(document, values.realm, '--realm');
    tellFindings(document, terminal);
    return withServer(values, document, terminal, async (admin) => {
      const plans: Plan[] = [];
      for (const realm of wanted) {
        const plan = await planRealm(admin, realm);
        plans.push(plan);
        if (!values.json) tellPlan(plan, terminal);
        if (!values.plan)
          await applyPlan(admin, plan, {
            secretOf: (reference) => resolveSecret(reference, document, terminal),
            progress: (step, at, of) => terminal.interactive && terminal.err(`${at}/${of} ${step.kind} ${step.name}`),
          });
      }
      if (values.json)
        terminal.out(JSON.stringify(plans.map(({ realm, steps }) => ({ realm, steps: steps.map(plain) }))));
      const pending = values.plan && plans.some(({ steps }) => steps.length > 0);
      return pending ? exitCodes.drift : exitCodes.done;
    });
  },
});
