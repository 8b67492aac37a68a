import { profileNamed } from '@postern/profile';
import { startKeycloak } from '@postern/testing';
import { identityProviderContract } from '@postern/testing/identity-provider-contract';

import { realmFor } from '../src/index.ts';

identityProviderContract('Keycloak', async ({ tls, realms }) =>
  startKeycloak({
    tls,
    realms: realms.map(({ realm, profile }) =>
      realmFor({ realm, profile: profileNamed(profile), trustedIssuerDn: 'CN=Postern development CA' }),
    ),
  }),
);
