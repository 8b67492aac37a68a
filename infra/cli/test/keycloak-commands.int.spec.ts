import { afterAll, beforeAll, describe, jest } from '@jest/globals';
import { describeWith, realPart } from '@postern/testing';
import { keycloakDistribution } from '@postern/testing/keycloak';
import { administratorsSuite } from './keycloak/administrators.ts';
import { applySuite } from './keycloak/apply.ts';
import { databaseSuite } from './keycloak/database.ts';
import { evidenceSuite } from './keycloak/evidence.ts';
import { realmsSuite } from './keycloak/realms.ts';
import { secretsSuite } from './keycloak/secrets.ts';
import { openShop, START_MS, type ShopWorld } from './keycloak/world.ts';

const part = await realPart('Keycloak 26', keycloakDistribution);

// On a busy machine a realm takes the server a minute.
jest.setTimeout(START_MS);

// One server for all subjects, in this order: the first makes the realm that the others use.
describeWith(part, 'postern and a real Keycloak', () => {
  let world: ShopWorld;
  const shop = () => world;
  beforeAll(async () => {
    world = await openShop();
  }, START_MS);
  afterAll(() => world?.close(), START_MS);

  describe('apply', () => applySuite(shop));
  describe('the first administrators', () => administratorsSuite(shop));
  describe('secrets and keys in turn', () => secretsSuite(shop));
  describe('the password of the database', () => databaseSuite(shop));
  describe('verify and evidence', () => evidenceSuite(shop));
  describe('users, backups, realms by pipe', () => realmsSuite(shop));
});
