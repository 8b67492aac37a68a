import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, test } from '@jest/globals';
import { profileNamed } from '@postern/profile';
import { describeWith, realPart } from '@postern/testing';
import { identityProviderContract, openRelyingParty } from '@postern/testing/identity-provider-contract';
import { keycloakDistribution, startKeycloak, type KeycloakOptions } from '@postern/testing/keycloak';

import { realmFor } from '../src/development/realm-for.ts';

const START_MS = 300_000;
const keycloak = await realPart('Keycloak 26', keycloakDistribution);

type FirstLife = { options: KeycloakOptions; offlineToken: unknown };

describeWith(keycloak, 'the compiled realm', () => {
  let first: FirstLife;
  afterAll(() => first && rm(first.options.dataDir ?? '', { recursive: true, force: true }));

  identityProviderContract('Keycloak', async ({ tls, realms }) => {
    const options: KeycloakOptions = {
      tls,
      realms: realms.map(({ realm, profile }) =>
        realmFor({ realm, profile: profileNamed(profile), trustedIssuerDn: 'CN=Postern development CA' }),
      ),
      dataDir: await mkdtemp(join(tmpdir(), 'postern-keycloak-data-')),
    };
    const running = await startKeycloak(options);
    const app = browserOf(running.url, tls.ca);
    const { body } = await app.login('alice', { par: false, scope: 'openid offline_access' }).finally(app.close);
    first = { options: { ...options, port: Number(new URL(running.url).port) }, offlineToken: body['refresh_token'] };
    return running;
  });

  // After the contract, whose server has stopped by now: the second start of the same folder.
  test(
    'offline tokens outlive a restart, and a realm that has not changed is left alone',
    async () => {
      const again = await startKeycloak(first.options);
      const app = browserOf(again.url, first.options.tls.ca);
      try {
        expect((await app.refresh(first.offlineToken)).status).toBe(200);
      } finally {
        await app.close();
        await again.close();
      }
    },
    START_MS,
  );
});

const browserOf = (url: string, ca: string) =>
  openRelyingParty({ issuer: `${url}/realms/postern`, ca, clientId: 'browser' });
