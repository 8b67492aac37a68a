import { type JWK } from 'jose';

const CLIENT = 'audit-sink';

/**
 * The realm with what audit-sink reads its events by: a client with `private_key_jwt` whose service account has `view-events` and
 * nothing more.
 */
export function withEventReader<Realm extends { clients?: unknown[] | undefined; users?: unknown[] | undefined }>(
  realm: Realm,
  publicJwk: JWK,
) {
  const client = {
    clientId: CLIENT,
    enabled: true,
    publicClient: false,
    clientAuthenticatorType: 'client-jwt',
    serviceAccountsEnabled: true,
    standardFlowEnabled: false,
    attributes: {
      'use.jwks.string': 'true',
      'jwks.string': JSON.stringify({ keys: [publicJwk] }),
      'token.endpoint.auth.signing.alg': 'ES256',
    },
  };
  const account = {
    username: `service-account-${CLIENT}`,
    enabled: true,
    serviceAccountClientId: CLIENT,
    clientRoles: { 'realm-management': ['view-events'] },
  };
  return { ...realm, clients: [...(realm.clients ?? []), client], users: [...(realm.users ?? []), account] };
}
