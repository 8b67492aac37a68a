import { expect, test } from '@jest/globals';
import { describeWith, realPart } from '@postern/testing';
import { keycloakDistribution } from '@postern/testing/keycloak';

import { processesOf } from './processes-of.ts';
import { startCommand } from './start-command.ts';
import { temporaryHome } from './temporary-home.ts';
import { rows } from './tour-rows.ts';

const ONE_START_MS = 600_000;
const keycloak = await realPart('Keycloak 26', keycloakDistribution);

describeWith(keycloak, 'npm start -- --idp keycloak', () => {
  const home = temporaryHome('keycloak-start');

  test(
    'the whole tour is played on the real Keycloak, and no process is left',
    async () => {
      const command = startCommand('--idp', 'keycloak', '--once', '--home', home);
      expect({ code: await command.exit, ...command.said() }).toMatchObject({ code: 0, err: '' });
      for (const row of rows) expect(command.said().out).toContain(`✓ ${row}`);
      expect(processesOf(home)).toEqual([]);
    },
    ONE_START_MS,
  );
});
