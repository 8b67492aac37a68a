import { afterAll, beforeAll, describe } from '@jest/globals';
import { describeWith, realPart } from '@postern/testing';
import { openBrowser } from '@postern/testing/browser';
import { keycloakDistribution } from '@postern/testing/keycloak';
import { keyCases } from './keycloak-keys.cases.ts';
import { refreshCases } from './keycloak-refresh.cases.ts';
import { browserCases } from './keycloak-browser.cases.ts';
import { openKeycloakSite, type KeycloakSite } from './keycloak-site.ts';

const keycloak = await realPart('Keycloak 26', keycloakDistribution);
const chromium = await realPart('Chromium', openBrowser);

// Everything that needs Keycloak: it starts once.
describeWith(keycloak, 'at a real Keycloak', () => {
  let opened: KeycloakSite | undefined;
  const site = (): KeycloakSite => {
    if (!opened) throw new Error('Keycloak is not there yet');
    return opened;
  };
  beforeAll(async () => {
    opened = await openKeycloakSite();
  }, 480_000);
  afterAll(() => opened?.close(), 60_000);

  describe('keys and tokens of a grant', () => keyCases(site));
  describe('R20: refreshes of a grant', () => refreshCases(site));
  describeWith(chromium, 'a consent in a real browser', (browser) => browserCases(site, browser));
});
