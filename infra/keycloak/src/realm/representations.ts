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
  name?: string;
  description: string;
  enabled: boolean;
  protocol: 'openid-connect';
  publicClient: boolean;
  bearerOnly: boolean;
  clientAuthenticatorType: 'client-secret' | 'client-jwt' | 'client-x509';
  secret?: string;
  standardFlowEnabled: boolean;
  implicitFlowEnabled: false;
  directAccessGrantsEnabled: false;
  serviceAccountsEnabled: boolean;
  consentRequired: boolean;
  fullScopeAllowed: false;
  redirectUris: string[];
  webOrigins: string[];
  attributes: Record<string, string>;
  defaultClientScopes: string[];
  optionalClientScopes: string[];
};

export type UserRepresentation = {
  id?: string;
  username: string;
  enabled: boolean;
  serviceAccountClientId?: string;
  email?: string;
  emailVerified?: boolean;
  firstName?: string;
  lastName?: string;
  credentials?: { type: 'password'; value: string; temporary: boolean }[];
  realmRoles: string[];
  clientRoles: Record<string, string[]>;
};

export type RoleRepresentation = { name: string; description?: string };

export type Execution = {
  authenticator?: string;
  flowAlias?: string;
  authenticatorConfig?: string;
  authenticatorFlow: boolean;
  requirement: 'REQUIRED' | 'ALTERNATIVE' | 'CONDITIONAL' | 'DISABLED';
  priority: number;
  userSetupAllowed: false;
};

export type FlowRepresentation = {
  alias: string;
  description: string;
  providerId: 'basic-flow' | 'client-flow' | 'form-flow';
  topLevel: boolean;
  builtIn: boolean;
  authenticationExecutions: Execution[];
};

export type Component = {
  name: string;
  providerId: string;
  subType?: string;
  subComponents: Record<string, Component[]>;
  config: Record<string, string[]>;
};

export type PolicyExecutor = { executor: string; configuration: Record<string, unknown> };
export type PolicyCondition = { condition: string; configuration: Record<string, unknown> };

export type RealmRepresentation = Record<string, unknown> & {
  realm: string;
  passwordPolicy: string;
  enabledEventTypes: string[];
  eventsListeners: string[];
  components: Record<string, Component[]>;
  authenticationFlows: FlowRepresentation[];
  authenticatorConfig: { alias: string; config: Record<string, string> }[];
  requiredActions: {
    alias: string;
    name: string;
    providerId: string;
    enabled: boolean;
    defaultAction: boolean;
    priority: number;
    config: Record<string, string>;
  }[];
  clientProfiles: { profiles: { name: string; description: string; executors: PolicyExecutor[] }[] };
  clientPolicies: {
    policies: {
      name: string;
      description: string;
      enabled: boolean;
      conditions: PolicyCondition[];
      profiles: string[];
    }[];
  };
  roles: { realm: RoleRepresentation[]; client: Record<string, RoleRepresentation[]> };
  clients: ClientRepresentation[];
  clientScopes: ClientScopeRepresentation[];
  users: UserRepresentation[];
};
