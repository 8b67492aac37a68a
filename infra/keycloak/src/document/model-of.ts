import { type ClientAuthentication, type ClientModel, type PolicyKind, type RealmModel } from '../realm/model.ts';
import { rulesOf } from '../realm/profile-rules.ts';
import { OUR_LISTENER } from '../realm/check.ts';
import { BROKER, policyParts, type PolicyParts } from './policy-scopes.ts';
import { type PosternDocument } from './postern-document.ts';
import { type ResolvedClient } from './resolve-client.ts';
import { type ResolvedRealm } from './resolve-realm.ts';
import { type KeycloakTable } from './schema.ts';

const MINUTE_SECONDS = 60;
const nothing = { defaultScopes: [], optionalScopes: [], roleScope: [], exchanges: false };

function authenticationOf({
  authentication,
  table,
  clientId,
  jwks,
  secretReference,
}: ResolvedClient): ClientAuthentication {
  switch (authentication) {
    case 'certificate':
      return { kind: 'certificate', subjectDn: table.subject_dn ?? `CN=${clientId}` };
    case 'private-key-jwt':
      return { kind: 'private-key', ...(jwks ? { jwks } : {}), ...(table.jwks_uri ? { jwksUri: table.jwks_uri } : {}) };
    case 'secret':
      return {
        kind: 'secret',
        ...(secretReference ? { reference: secretReference } : {}),
      };
    case 'none':
      return table.type === 'public' ? { kind: 'public' } : { kind: 'secret' };
  }
}

function policyKindOf({ fapi, table, binding }: ResolvedClient): PolicyKind | undefined {
  if (!fapi || table.type === 'bearer-only') return undefined;
  if (table.type === 'public') return 'public';
  const bound = binding === 'certificate' ? 'certificate' : 'dpop';
  return table.signed_responses ? `${bound}-signed` : bound;
}

const audienceScope = (clientId: string) => `audience-${clientId}`;

function clientModel(client: ResolvedClient, policy: PolicyParts | undefined, realm: ResolvedRealm): ClientModel {
  const { table } = client;
  const given = policy?.of(client.clientId) ?? nothing;
  const kind = policyKindOf(client);
  const exchanges = given.exchanges && !client.grants.includes('token-exchange') && table.type === 'confidential';
  // R15: every client whose tokens token-exchange takes is logged out of auth-manager's grants too.
  const logout =
    table.backchannel_logout_url ?? (given.defaultScopes.includes(BROKER) ? realm.table.logout_url : undefined);
  return {
    clientId: client.clientId,
    ...(table.name ? { name: table.name } : {}),
    description: `${client.kind} of the document`,
    bearerOnly: table.type === 'bearer-only',
    authentication: authenticationOf(client),
    grants: exchanges ? [...client.grants, 'token-exchange'] : client.grants,
    binding: client.binding,
    ...(kind ? { policy: kind } : {}),
    redirectUris: table.redirect_uris,
    ...(table.post_logout_redirect_uris.length > 0
      ? { postLogoutRedirectUris: [...table.post_logout_redirect_uris].sort() }
      : {}),
    webOrigins: table.web_origins,
    // FAPI's enforcer would write it into the client at the first change of it.
    requirePkce: client.requirePkce || kind !== undefined,
    requirePar: client.requirePar,
    requireConsent: table.consent || table.offline_access,
    encryptedIdTokens: table.encrypted_id_tokens,
    defaultScopes: [...given.defaultScopes, ...table.default_scopes, ...table.audiences.map(audienceScope)],
    optionalScopes: [
      ...given.optionalScopes,
      ...table.optional_scopes,
      ...(table.offline_access ? ['offline_access'] : []),
    ],
    roles: table.roles,
    roleScope: [...new Set([...given.roleScope, ...table.role_scope])],
    ...(logout ? { backchannelLogout: { url: logout, revokeOffline: table.offline_access } } : {}),
  };
}

function rules(document: PosternDocument, keycloak: KeycloakTable, { options, mfaMethods, table }: ResolvedRealm) {
  const standard = rulesOf(document.profile, { fips: keycloak.fips_mode });
  const { observability } = keycloak;
  return {
    ...standard,
    sessionIdleSeconds: options.session_idle_timeout * MINUTE_SECONDS,
    sessionMaxSeconds: options.session_max_lifespan * MINUTE_SECONDS,
    accessTokenSeconds: options.access_token_lifespan * MINUTE_SECONDS,
    password: {
      ...standard.password,
      minLength: options.password_min_length,
      upperCase: options.password_require_uppercase,
      digits: options.password_require_digit,
      specialChars: options.password_require_special_char,
      history: options.password_history_count,
      ...(table.blocked_passwords ? { blocked: table.blocked_passwords.split('/').at(-1) ?? '' } : {}),
    },
    lockout: {
      enabled: options.brute_force_enabled,
      attempts: options.brute_force_max_attempts,
      seconds: options.brute_force_lockout_duration * MINUTE_SECONDS,
    },
    secondFactor: {
      required: options.require_mfa ? ('everyone' as const) : ('administrators' as const),
      administrators: table.administrators,
      methods: mfaMethods,
    },
    events: {
      ...standard.events,
      types: [...new Set([...observability.audit_events, ...alwaysRecorded])],
      listeners: observability.enable ? ['jboss-logging', OUR_LISTENER] : ['jboss-logging'],
    },
  };
}

/** What AU-2 and our own checks need beside the events that a document names: lockouts, tokens, second factors. */
const alwaysRecorded = [
  'CLIENT_LOGIN',
  'CLIENT_LOGIN_ERROR',
  'CODE_TO_TOKEN',
  'CODE_TO_TOKEN_ERROR',
  'REFRESH_TOKEN_ERROR',
  'REMOVE_CREDENTIAL',
  'REVOKE_GRANT',
  'TOKEN_EXCHANGE',
  'TOKEN_EXCHANGE_ERROR',
  'UPDATE_CREDENTIAL',
  'UPDATE_TOTP',
  'REMOVE_TOTP',
  'USER_DISABLED_BY_TEMPORARY_LOCKOUT',
];

function modelOf(document: PosternDocument, keycloak: KeycloakTable, realm: ResolvedRealm): RealmModel {
  const { table, clients } = realm;
  const policy = realm.policy && policyParts(realm.policy);
  const own = new Set(clients.map(({ clientId }) => clientId));
  const audiences = [...new Set(clients.flatMap((client) => client.table.audiences))].sort();
  return {
    name: realm.name,
    displayName: table.display_name ?? realm.name,
    fapi: document.profile.fapi,
    rules: rules(document, keycloak, realm),
    realmRoles: table.roles,
    scopes: [
      ...(policy?.scopes ?? []),
      ...Object.entries(table.scope).map(([name, { description, audience, roles, in_token: inToken }]) => ({
        name,
        description,
        inToken,
        ...(audience ? { audience } : {}),
        roles,
      })),
      ...audiences.map((audience) => ({
        name: audienceScope(audience),
        description: `Tokens that are also meant for ${audience}`,
        inToken: false,
        audience,
      })),
    ],
    clients: [
      ...(policy?.clients ?? []).filter(({ clientId }) => !own.has(clientId)),
      ...clients.map((client) => clientModel(client, policy, realm)),
    ],
    users: [],
    federation: {
      ldap: Object.entries(table.federation.ldap).map(([name, one]) => ({
        name,
        url: one.url,
        vendor: one.vendor,
        usersDn: one.users_dn,
        bindDn: one.bind_dn,
        usernameAttribute: one.username_attribute,
        secretReference: one.bind_credential,
      })),
      oidc: Object.entries(table.federation.oidc).map(([alias, one]) => ({
        alias,
        issuer: one.issuer,
        clientId: one.client_id,
        secretReference: one.client_secret,
      })),
      saml: Object.entries(table.federation.saml).map(([alias, one]) => ({
        alias,
        entityId: one.entity_id,
        signOnUrl: one.sign_on_url,
        certificate: one.certificate,
      })),
    },
    ...(table.theme ? { theme: table.theme } : {}),
    trustedIssuerDn: table.trusted_issuer_dn,
  };
}

/** The models of a document's realms, in the order of their names. */
export function modelsOf(document: PosternDocument): RealmModel[] {
  const { keycloak } = document.document;
  return keycloak?.enable ? document.realms.map((realm) => modelOf(document, keycloak, realm)) : [];
}
