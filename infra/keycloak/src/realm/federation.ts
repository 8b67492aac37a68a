import { type Federation } from './model.ts';
import { type Component } from './representations.ts';

/** Secrets of federation are read by Keycloak itself, from its own vault, under this key; `env` and Helm provide it. */
export const vaultKey = (kind: 'ldap' | 'oidc', name: string) => `${kind}-${name}`;
const fromVault = (kind: 'ldap' | 'oidc', name: string) => `\${vault.${vaultKey(kind, name)}}`;

const MAPPER = 'org.keycloak.storage.ldap.mappers.LDAPStorageMapper';

/** Which attribute of the directory is which of a person. A server makes mappers of its own only where no realm is imported. */
const ldapMapper = (name: string, attribute: string, property: string, mandatory: boolean): Component => ({
  name,
  providerId: 'user-attribute-ldap-mapper',
  subComponents: {},
  config: {
    'ldap.attribute': [attribute],
    'user.model.attribute': [property],
    'is.mandatory.in.ldap': [String(mandatory)],
    'read.only': ['true'],
    'always.read.value.from.ldap': ['false'],
  },
});

const ldapComponents = ({ ldap }: Federation): Component[] =>
  ldap.map(({ name, url, vendor, usersDn, bindDn, usernameAttribute }) => ({
    name,
    providerId: 'ldap',
    subComponents: {
      [MAPPER]: [
        ldapMapper('email', 'mail', 'email', false),
        ldapMapper('first name', 'givenName', 'firstName', false),
        ldapMapper('last name', 'sn', 'lastName', true),
        ldapMapper('username', usernameAttribute, 'username', true),
      ],
    },
    config: {
      enabled: ['true'],
      priority: ['0'],
      editMode: ['READ_ONLY'],
      importEnabled: ['true'],
      syncRegistrations: ['false'],
      vendor: [vendor],
      connectionUrl: [url],
      useTruststoreSpi: ['always'],
      startTls: ['false'],
      authType: ['simple'],
      bindDn: [bindDn],
      bindCredential: [fromVault('ldap', name)],
      usersDn: [usersDn],
      usernameLDAPAttribute: [usernameAttribute],
      rdnLDAPAttribute: [usernameAttribute],
      uuidLDAPAttribute: [vendor === 'ad' ? 'objectGUID' : 'entryUUID'],
      userObjectClasses: [
        vendor === 'ad' ? 'person, organizationalPerson, user' : 'inetOrgPerson, organizationalPerson',
      ],
      searchScope: ['2'],
      pagination: ['true'],
      trustEmail: ['false'],
    },
  }));

const shared = {
  enabled: true,
  trustEmail: false,
  storeToken: false,
  addReadTokenRoleOnCreate: false,
  linkOnly: false,
};

const identityProviders = ({ oidc, saml }: Federation) =>
  [
    ...oidc.map(({ alias, issuer, clientId }) => ({
      alias,
      providerId: 'oidc',
      ...shared,
      firstBrokerLoginFlowAlias: 'first broker login',
      config: {
        issuer,
        clientId,
        clientSecret: fromVault('oidc', alias),
        clientAuthMethod: 'client_secret_basic',
        authorizationUrl: `${issuer}/protocol/openid-connect/auth`,
        tokenUrl: `${issuer}/protocol/openid-connect/token`,
        jwksUrl: `${issuer}/protocol/openid-connect/certs`,
        useJwksUrl: 'true',
        validateSignature: 'true',
        pkceEnabled: 'true',
        pkceMethod: 'S256',
        defaultScope: 'openid profile email',
        syncMode: 'FORCE',
      },
    })),
    ...saml.map(({ alias, entityId, signOnUrl, certificate }) => ({
      alias,
      providerId: 'saml',
      ...shared,
      firstBrokerLoginFlowAlias: 'first broker login',
      config: {
        idpEntityId: entityId,
        singleSignOnServiceUrl: signOnUrl,
        signingCertificate: certificate,
        validateSignature: 'true',
        wantAssertionsSigned: 'true',
        wantAuthnRequestsSigned: 'true',
        signatureAlgorithm: 'RSA_SHA256',
        postBindingResponse: 'true',
        postBindingAuthnRequest: 'true',
        nameIDPolicyFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
        syncMode: 'FORCE',
      },
    })),
  ].sort((a, b) => (a.alias < b.alias ? -1 : 1));

/** IA-8: people whom another directory or provider knows. Keycloak never writes to an LDAP directory. */
export const federationSettings = (federation: Federation) => ({
  components:
    federation.ldap.length > 0 ? { 'org.keycloak.storage.UserStorageProvider': ldapComponents(federation) } : {},
  identityProviders: identityProviders(federation),
});
