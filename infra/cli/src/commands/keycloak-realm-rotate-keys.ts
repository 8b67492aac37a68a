import { rotateKeys } from '@postern/keycloak';
import { fileOption, openDocument } from '../keycloak/document.ts';
import { serverOptions, withServer } from '../keycloak/server.ts';
import { numberIn } from '../number-option.ts';
import { exitCodes } from '../outcome.ts';
import { defineCommand } from '../table/command.ts';

const said = {
  published: 'a successor is published, and signs when verifiers know it',
  signs: 'the successor signs; the key before it still verifies',
  removed: 'the key before is gone',
} as const;

export const command = defineCommand({
  about: `Takes the signing keys of every realm of the document one step on their way (SC-12, yearly): a successor is published, signs a day later, and
the old key verifies until nothing that it signed is alive. A timer runs it daily; nothing is done where nothing is due.`,
  options: {
    ...fileOption,
    ...serverOptions,
    'when-older-than': {
      type: 'string',
      value: 'DAYS',
      default: '365',
      about: 'keys that sign for longer are replaced; 0 for all',
    },
    publish: {
      type: 'string',
      value: 'HOURS',
      default: '24',
      about: 'how long a successor is published before it signs (R13)',
    },
    keep: {
      type: 'string',
      value: 'HOURS',
      default: '24',
      about: 'how long the old key verifies; longer than any token that it signed lives',
    },
    json: { type: 'boolean', about: 'a list of { realm, key, done }' },
  },
  async run({ values }, terminal) {
    const document = await openDocument(values.file, terminal);
    const rotation = {
      olderThanDays: numberIn(values['when-older-than'], '--when-older-than DAYS', 3_650),
      publishHours: numberIn(values.publish, '--publish HOURS', 24 * 90),
      keepHours: numberIn(values.keep, '--keep HOURS', 24 * 90),
      now: () => new Date(),
    };
    return withServer(values, document, terminal, async (admin) => {
      const done = [];
      for (const { name: realm } of document.realms)
        for (const step of await rotateKeys(admin, realm, rotation)) done.push({ realm, ...step });
      if (values.json) terminal.out(JSON.stringify(done));
      else if (done.length === 0) terminal.out('nothing is due');
      else for (const { realm, key, done: what } of done) terminal.out(`realm ${realm}: ${key}: ${said[what]}`);
      return exitCodes.done;
    });
  },
});
