import { type Profile } from '@postern/profile';
import {
  fapiKindOf,
  offlineIdleSeconds,
  offlineMaxSeconds,
  serviceAccountId,
  type Realm,
} from '@postern/testing/realm';

import { compileRealm } from '../realm/compile.ts';
import { type ClientModel, type RealmModel } from '../realm/model.ts';
import { type RealmRepresentation } from '../realm/representations.ts';
import { rulesOf } from '../realm/profile-rules.ts';

const DAY_SECONDS = 86_400;

export type RealmForOptions = {
  realm: Realm;
  profile: Profile;
  /** Subject of the CA that issues workload certificates, RFC 2253. */
  trustedIssuerDn: string;
};

/** The development world as the compiler sees it; what it does not say is the profile's. */
function modelOf({ realm, profile, trustedIssuerDn }: RealmForOptions): RealmModel {
  const rules = rulesOf(profile, { fips: profile.fipsDefault });
  return {
    name: realm.name,
    displayName: realm.displayName,
    fapi: profile.fapi,
    rules: {
      ...rules,
      offlineIdleSeconds,
      offlineMaxSeconds,
      rotation: realm.rotation,
      // Its people are played by programs, in every profile; a document's realm is asked for a second factor.
      secondFactor: { ...rules.secondFactor, required: 'nobody' },
      events: { types: 'all', listeners: ['jboss-logging'], keepSeconds: DAY_SECONDS },
    },
    realmRoles: realm.realmRoles,
    scopes: realm.scopes,
    clients: realm.clients.map((client): ClientModel => {
      const kind = fapiKindOf(client, profile);
      return {
        ...client,
        ...(kind ? { policy: kind } : {}),
        // As Keycloak itself fills them in where they are left out.
        webOrigins: [...new Set(client.redirectUris.map((uri) => new URL(uri).origin))],
        // FAPI's enforcer would write it into the client at the first change of it.
        requirePkce: client.requirePkce || kind !== undefined,
      };
    }),
    users: realm.users,
    serviceAccountId: (clientId) => serviceAccountId(realm, clientId),
    federation: { ldap: [], oidc: [], saml: [] },
    trustedIssuerDn,
  };
}

/**
 * The realm of the development world, by the compiler of every other realm.
 * @throws RealmRefused when the realm breaks a rule: certificate-bound with offline_access (R9), rotation of refresh
 * tokens in a profile of FAPI 2.0 (R20)
 */
export const realmFor = (options: RealmForOptions): RealmRepresentation => compileRealm(modelOf(options));
