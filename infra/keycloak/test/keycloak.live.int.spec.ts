import { afterAll, beforeAll, describe, jest } from '@jest/globals';
import { profileNames } from '@postern/profile';
import { describeWith, realPart } from '@postern/testing';
import { keycloakDistribution } from '@postern/testing/keycloak';

import { directoryProgram } from './directory.ts';
import { documentOf, openLiveWorld, type LiveWorld } from './live-world.ts';
import { applySuite } from './live/apply.ts';
import { fapiSuite } from './live/fapi.ts';
import { federationSuite } from './live/federation.ts';
import { ldapSuite } from './live/ldap.ts';
import { loginsSuite } from './live/logins.ts';
import { profilesSuite } from './live/profiles.ts';
import { samlSuite } from './live/saml.ts';

const START_MS = 300_000;
// On a busy machine a realm takes the server a minute.
jest.setTimeout(START_MS);
const keycloak = await realPart('Keycloak 26', keycloakDistribution);
const directory = await realPart('OpenLDAP', directoryProgram);

// One server for all subjects, with a realm of each profile.
describeWith(keycloak, 'documents on a real Keycloak', () => {
  let opened: LiveWorld;
  const world = () => opened;
  beforeAll(async () => {
    opened = await openLiveWorld();
    for (const name of profileNames) await opened.apply(documentOf(name, name));
  }, START_MS);
  afterAll(() => opened?.close(), START_MS);

  describe('each profile', () => profilesSuite(world));
  describe('FAPI 2.0', () => fapiSuite(world));
  describe('federation', () => {
    federationSuite(world);
    samlSuite(world);
    describeWith(directory, 'by a directory', (program) => ldapSuite(world, program));
  });
  describe('logins', () => loginsSuite(world));
  applySuite(world);
});
