import { profileNamed } from '@postern/profile';
import { describeWith, realPart } from '@postern/testing';
import { identityProviderContract } from '@postern/testing/identity-provider-contract';
import { keycloakDistribution, startKeycloak } from '@postern/testing/keycloak';

import { realmFor } from '../src/development/realm-for.ts';

const keycloak = await realPart('Keycloak 26', keycloakDistribution);

describeWith(keycloak, 'the compiled realm', () => {
  identityProviderContract('Keycloak', async ({ tls, realms }) =>
    startKeycloak({
      tls,
      realms: realms.map(({ realm, profile }) =>
        realmFor({ realm, profile: profileNamed(profile), trustedIssuerDn: 'CN=Postern development CA' }),
      ),
    }),
  );
});
