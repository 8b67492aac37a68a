/** The parts of Keycloak's admin representations that we write; the importer refuses any key it does not know. */
export type ProtocolMapper = {
  name: string;
  protocol: 'openid-connect';
  protocolMapper: string;
  consentRequired: boolean;
  config: Record<string, string>;
};

export type ClientScopeRepresentation = {
  name: string;
  description: string;
  protocol: 'openid-connect';
  attributes: Record<string, string>;
  protocolMappers: ProtocolMapper[];
};

export type ClientRepresentation = {
  clientId: string;
  description: string;
  enabled: boolean;
  protocol: 'openid-connect';
  publicClient: boolean;
  clientAuthenticatorType: 'client-secret' | 'client-jwt' | 'client-x509';
  secret?: string;
  standardFlowEnabled: boolean;
  implicitFlowEnabled: false;
  directAccessGrantsEnabled: false;
  serviceAccountsEnabled: boolean;
  consentRequired: boolean;
  fullScopeAllowed: false;
  redirectUris: string[];
  attributes: Record<string, string>;
  defaultClientScopes: string[];
  optionalClientScopes: string[];
};

export type UserRepresentation = {
  id: string;
  username: string;
  enabled: boolean;
  serviceAccountClientId?: string;
  email?: string;
  emailVerified?: boolean;
  firstName?: string;
  lastName?: string;
  credentials?: { type: 'password'; value: string; temporary: false }[];
  realmRoles: string[];
  clientRoles: Record<string, string[]>;
};

export type RoleRepresentation = { name: string; description?: string };

export type RealmRepresentation = Record<string, unknown> & {
  realm: string;
  clients: ClientRepresentation[];
  clientScopes: ClientScopeRepresentation[];
  users: UserRepresentation[];
};
