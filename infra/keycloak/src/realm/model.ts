/** A role: `client/role` for a client's own, a bare name for the realm's. */
export type RoleName = string;

/** How a client proves itself at the token endpoint. */
export type ClientAuthentication =
  | { kind: 'public' }
  /** The secret itself for a development realm; else a reference, resolved when it is applied. */
  | { kind: 'secret'; secret?: string; reference?: string }
  /** `tls_client_auth` (RFC 8705, 2.1) by the whole subject, written as in RFC 2253, e.g. `CN=portal`. */
  | { kind: 'certificate'; subjectDn: string }
  /** `private_key_jwt` (RFC 7523) with ES256. */
  | { kind: 'private-key'; jwks?: { keys: Record<string, unknown>[] }; jwksUri?: string };

export type Grant = 'code' | 'client-credentials' | 'token-exchange' | 'device';

/** Which of our client policies lies on a client; see `fapi-policies.ts`. */
export type PolicyKind = 'certificate' | 'dpop' | 'certificate-signed' | 'dpop-signed' | 'public';

export type ScopeModel = {
  name: string;
  description: string;
  /** Whether its name stands in a token's `scope`. */
  inToken: boolean;
  /** The client that a token with this scope is also meant for. */
  audience?: string;
  /** Only a user with one of these gets it; anybody else gets a token without it and without an error. */
  roles?: RoleName[];
};

export type ClientModel = {
  clientId: string;
  name?: string;
  description: string;
  /** Only an audience: no login, no token of its own. */
  bearerOnly?: boolean;
  authentication: ClientAuthentication;
  grants: readonly Grant[];
  binding: 'none' | 'certificate' | 'dpop';
  policy?: PolicyKind;
  redirectUris: readonly string[];
  postLogoutRedirectUris?: readonly string[];
  webOrigins?: readonly string[];
  requirePkce: boolean;
  requirePar: boolean;
  requireConsent: boolean;
  encryptedIdTokens?: boolean;
  defaultScopes: readonly string[];
  optionalScopes: readonly string[];
  /** Roles that this client defines. */
  roles?: readonly string[];
  /** Roles that may stand in its tokens, when its user has them. */
  roleScope: readonly RoleName[];
  introspectsAnyToken?: boolean;
  backchannelLogout?: { url: string; revokeOffline: boolean };
  exchangeForRefreshTokens?: boolean;
};

export type UserModel = {
  id: string;
  username: string;
  password: string;
  email: string;
  firstName: string;
  lastName: string;
  roles: readonly RoleName[];
};

export type PasswordRules = {
  minLength: number;
  upperCase: boolean;
  digits: boolean;
  specialChars: boolean;
  history: number;
  hash: 'argon2' | 'pbkdf2-sha512';
  /** File of breached passwords on the server. */
  blocked?: string;
};

export type SecondFactor = {
  /** Whoever has a second factor is always asked for it; this says who must have one. */
  required: 'everyone' | 'administrators' | 'nobody';
  administrators: readonly RoleName[];
  methods: readonly ('totp' | 'webauthn')[];
};

/** What a profile, or an override of it, fixes for a realm. Times in seconds. */
export type RealmRules = {
  sessionIdleSeconds: number;
  sessionMaxSeconds: number;
  accessTokenSeconds: number;
  offlineIdleSeconds: number;
  offlineMaxSeconds: number;
  rotation: 'off' | { maxReuse: number };
  password: PasswordRules;
  lockout: { enabled: boolean; attempts: number; seconds: number };
  secondFactor: SecondFactor;
  events: { types: readonly string[] | 'all'; listeners: readonly string[]; keepSeconds: number };
};

export type Federation = {
  ldap: readonly {
    name: string;
    url: string;
    vendor: 'ad' | 'rhds' | 'other';
    usersDn: string;
    bindDn: string;
    usernameAttribute: string;
    secretReference: string;
  }[];
  oidc: readonly { alias: string; issuer: string; clientId: string; secretReference: string }[];
  saml: readonly { alias: string; entityId: string; signOnUrl: string; certificate: string }[];
};

/** One realm, whatever it was described by: the input of the compiler. */
export type RealmModel = {
  name: string;
  displayName: string;
  /** Whether FAPI 2.0 holds in this realm; then refresh tokens are not rotated (R20). */
  fapi: boolean;
  rules: RealmRules;
  realmRoles: readonly string[];
  scopes: readonly ScopeModel[];
  clients: readonly ClientModel[];
  users: readonly UserModel[];
  /** The id of a client's service account, where it must be the same on every machine. */
  serviceAccountId?(clientId: string): string;
  federation: Federation;
  theme?: string;
  /** Subject of the CA that issues client certificates, RFC 2253. */
  trustedIssuerDn: string;
};

/** A realm that breaks a rule: each refusal is a hole closed. */
export class RealmRefused extends Error {
  override name = 'RealmRefused';
}
