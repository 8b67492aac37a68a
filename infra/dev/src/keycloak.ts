import { realmFor } from '@postern/keycloak/development';
import { profileNamed, type ProfileName } from '@postern/profile';
import { type Realm } from '@postern/testing/realm';
import { startKeycloak } from '@postern/testing/keycloak';
import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';

import { type Certificates } from './certificates.ts';
import { type IdentityProvider } from './identity-provider.ts';
import { type Home } from './state.ts';

/** The real Keycloak 26, with the realm of the development world compiled for it. The first start downloads and builds it. */
export async function startRealKeycloak(
  home: Home,
  certificates: Certificates,
  at: { realm: Realm; port: number; profile: ProfileName },
): Promise<IdentityProvider> {
  const { cert, key, ca } = certificates.of['identity-provider'];
  const trustedIssuerDn = new X509Certificate(ca).subject;
  const representation = realmFor({ realm: at.realm, profile: profileNamed(at.profile), trustedIssuerDn });
  const keycloak = await startKeycloak({
    tls: { cert, key, ca },
    realms: [{ ...representation }],
    port: at.port,
    dataDir: join(home.dir, 'keycloak'),
  });
  const issuer = keycloak.issuer(at.realm.name);
  return {
    issuer,
    jwksUri: `${issuer}/protocol/openid-connect/certs`,
    logFile: home.place('logs', 'identity-provider.log'),
    close: keycloak.close,
  };
}
