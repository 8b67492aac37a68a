import { RealmRefused } from './model.ts';
import { type RealmRepresentation } from './representations.ts';
import {
  authenticatorIds,
  clientAuthenticatorIds,
  conditionIds,
  eventTypes,
  executorIds,
  keyProviderIds,
  listenerIds,
  mapperIds,
  passwordPolicyIds,
  requiredActionIds,
} from './server-ids.ts';

/** The listener that this project brings. */
export const OUR_LISTENER = 'postern-events';

const clientAttributes = new Set([
  'access.token.header.type.rfc9068',
  'access.token.signed.response.alg',
  'allow.token.introspection.without.audience.check',
  'authorization.signed.response.alg',
  'backchannel.logout.revoke.offline.tokens',
  'backchannel.logout.session.required',
  'backchannel.logout.url',
  'client_credentials.use_refresh_token',
  'dpop.bound.access.tokens',
  'id.token.encrypted.response.alg',
  'id.token.encrypted.response.enc',
  'id.token.signed.response.alg',
  'jwks.string',
  'jwks.url',
  'oauth2.device.authorization.grant.enabled',
  'pkce.code.challenge.method',
  'post.logout.redirect.uris',
  'request.object.signature.alg',
  'require.pushed.authorization.requests',
  'standard.token.exchange.enableRefreshRequestedTokenType',
  'standard.token.exchange.enabled',
  'tls.client.certificate.bound.access.tokens',
  'token.endpoint.auth.signing.alg',
  'use.jwks.string',
  'use.jwks.url',
  'x509.allow.regex.pattern.comparison',
  'x509.casubjectdn',
  'x509.subjectdn',
  // Ours.
  'postern.fapi',
  'postern.secret',
]);

/**
 * Checks every name that Keycloak's importer takes without a word (`keycloak.md`: unknown client attribute, mapper,
 * listener, event type, required action, authenticator: 201 and nothing happens) or refuses without saying which.
 * @throws RealmRefused naming it
 */
export function assertKnownToKeycloak(realm: RealmRepresentation): void {
  const among = (what: string, names: readonly (string | undefined)[], known: ReadonlySet<string>) => {
    const stranger = names.find((name) => name !== undefined && !known.has(name));
    if (stranger !== undefined) throw new RealmRefused(`realm ${realm.realm}: Keycloak knows no ${what} ${stranger}`);
  };
  const { clients, clientScopes, authenticationFlows: flows, clientProfiles, clientPolicies } = realm;
  const executions = flows.flatMap(({ authenticationExecutions }) => authenticationExecutions);
  among('event type', realm.enabledEventTypes, new Set(eventTypes));
  among('event listener', realm.eventsListeners, new Set([...listenerIds, OUR_LISTENER]));
  among(
    'password rule',
    realm.passwordPolicy.split(' and ').map((rule) => rule.replace(/\(.*$/, '')),
    new Set(passwordPolicyIds),
  );
  among(
    'protocol mapper',
    clientScopes.flatMap(({ protocolMappers }) => protocolMappers.map((one) => one.protocolMapper)),
    new Set(mapperIds),
  );
  among(
    'client attribute',
    clients.flatMap(({ attributes }) => Object.keys(attributes)),
    clientAttributes,
  );
  among(
    'client authenticator',
    clients.map((one) => one.clientAuthenticatorType),
    new Set(clientAuthenticatorIds),
  );
  among(
    'required action',
    realm.requiredActions.map(({ providerId }) => providerId),
    new Set(requiredActionIds),
  );
  among(
    'authenticator',
    executions.map(({ authenticator }) => authenticator),
    new Set<string>([...authenticatorIds, ...clientAuthenticatorIds]),
  );
  among(
    'flow',
    executions.map(({ flowAlias }) => flowAlias),
    new Set(flows.map(({ alias }) => alias)),
  );
  among(
    'authenticator setting',
    executions.map(({ authenticatorConfig }) => authenticatorConfig),
    new Set(realm.authenticatorConfig.map(({ alias }) => alias)),
  );
  among(
    'executor',
    clientProfiles.profiles.flatMap(({ executors }) => executors.map((one) => one.executor)),
    new Set(executorIds),
  );
  among(
    'condition',
    clientPolicies.policies.flatMap(({ conditions }) => conditions.map((one) => one.condition)),
    new Set(conditionIds),
  );
  among(
    'client profile',
    clientPolicies.policies.flatMap((one) => one.profiles),
    new Set(clientProfiles.profiles.map(({ name }) => name)),
  );
  among(
    'key provider',
    (realm.components['org.keycloak.keys.KeyProvider'] ?? []).map(({ providerId }) => providerId),
    new Set(keyProviderIds),
  );
}
