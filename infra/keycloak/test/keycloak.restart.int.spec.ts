import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, test } from '@jest/globals';
import { profileNamed } from '@postern/profile';
import { describeWith, developmentCa, freePort, realPart } from '@postern/testing';
import { contractRealm, createKeys, openRelyingParty } from '@postern/testing/identity-provider-contract';
import { keycloakDistribution, startKeycloak } from '@postern/testing/keycloak';

import { realmFor } from '../src/development/realm-for.ts';

const TWO_STARTS_MS = 400_000;
const keycloak = await realPart('Keycloak 26', keycloakDistribution);

describeWith(keycloak, 'Keycloak on a folder of its own', () => {
  test(
    'offline tokens outlive a restart, and a realm that has not changed is left alone',
    async () => {
      const dataDir = await mkdtemp(join(tmpdir(), 'postern-keycloak-data-'));
      const tls = await developmentCa().issue('identity-provider');
      const port = await freePort();
      const { jwks } = createKeys();
      const realm = contractRealm({ name: 'postern', rotation: 'off', jwks, logoutUrl: 'https://127.0.0.1:1/' });
      const compiled = realmFor({
        realm,
        profile: profileNamed('fedramp-moderate'),
        trustedIssuerDn: 'CN=Postern development CA',
      });
      const start = () => startKeycloak({ tls, realms: [compiled], port, dataDir });
      const issuer = `https://127.0.0.1:${port}/realms/postern`;
      const app = openRelyingParty({ issuer, ca: tls.ca, clientId: 'browser' });
      try {
        const first = await start();
        const { body } = await app.login('alice', { par: false, scope: 'openid offline_access' }).finally(first.close);
        const second = await start();
        const refreshed = await app.refresh(body['refresh_token']).finally(second.close);
        expect(refreshed.status).toBe(200);
      } finally {
        await app.close();
        await rm(dataDir, { recursive: true, force: true });
      }
    },
    TWO_STARTS_MS,
  );
});
