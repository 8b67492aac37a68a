import { afterAll, beforeAll, describe } from '@jest/globals';
import { describeWith, developmentCa, realPart } from '@postern/testing';
import { keycloakDistribution, startKeycloak, type RunningKeycloak } from '@postern/testing/keycloak';
import { guideByHand } from './guide/by-hand.ts';
import { guideBySdk } from './guide/by-sdk.ts';
import { realmByHand } from './guide/realm-by-hand.ts';
import { realmOfSdk } from './guide/realm-of-sdk.ts';

const keycloak = await realPart('Keycloak 26', keycloakDistribution);

// One server for both ways, with a realm of each. By hand comes last: its last test stops the server.
describeWith(keycloak, 'the guide, on the real Keycloak', () => {
  let opened: RunningKeycloak | undefined;
  const running = (): RunningKeycloak => {
    if (!opened) throw new Error('Keycloak does not run');
    return opened;
  };
  const stop = async (): Promise<void> => {
    await opened?.close();
    opened = undefined;
  };
  beforeAll(async () => {
    const tls = await developmentCa().issue('identity-provider');
    opened = await startKeycloak({ tls, realms: [realmOfSdk(), realmByHand] });
  }, 300_000);
  afterAll(stop);

  describe('by the SDK', guideBySdk(running));
  describe('by hand', guideByHand(running, stop));
});
