import { stableId, type Realm, type RealmClient, type RealmUser } from './realm.ts';

/** The password of a user of the development realm. */
export const developmentPassword = (username: string) => `${username}-Password-2026!`;

const user = (realm: string, username: string, firstName: string, lastName: string, role: string): RealmUser => ({
  id: stableId(`${realm}/${username}`),
  username,
  password: developmentPassword(username),
  email: `${username}@acme.example`,
  firstName,
  lastName,
  roles: [`token-exchange/${role}`, 'offline_access'],
});

const audienceRoles = ['user', 'auditor', 'admin', 'operator'];

type SignIn = Pick<
  RealmClient,
  | 'grants'
  | 'binding'
  | 'redirectUris'
  | 'requirePkce'
  | 'requirePar'
  | 'defaultScopes'
  | 'roleScope'
  | 'backchannelLogout'
>;

const nobodySignsIn: SignIn = {
  grants: [],
  binding: 'none',
  redirectUris: [],
  requirePkce: false,
  requirePar: false,
  defaultScopes: [],
  roleScope: [],
};

const signsInApprovers = ({ redirectUris, logoutUrl }: NonNullable<DevelopmentWorld['approvalsPages']>): SignIn => ({
  grants: ['code'],
  binding: 'certificate',
  redirectUris,
  requirePkce: true,
  requirePar: true,
  defaultScopes: ['token-exchange'],
  roleScope: audienceRoles.map((role) => `token-exchange/${role}`),
  backchannelLogout: { url: logoutUrl, revokeOffline: false },
});

/** Where the development world lives: the addresses that the realm has to know. */
export type DevelopmentWorld = {
  /** Name of the realm; `postern` unless a test needs a second one. */
  name?: string;
  rotation?: Realm['rotation'];
  portalRedirectUris: string[];
  authManagerRedirectUris: string[];
  /** auth-manager's back-channel logout address, set on every client that may obtain the audience token-exchange (R15). */
  authManagerLogoutUrl?: string;
  /**
   * Where approvers come back to after signing in at the pages of token-exchange, and where their logouts are announced. Absent:
   * nobody signs in there.
   */
  approvalsPages?: { redirectUris: string[]; logoutUrl: string };
  /** The public half of the key with which auth-manager signs its assertions (ES256). */
  authManagerJwks: { keys: Record<string, unknown>[] };
  /** The subject of a workload's certificate, RFC 2253. */
  subjectDn?: (workload: string) => string;
};

/**
 * The realm of the development world: the tenant acme, its four people, and the four clients that the tour needs.
 * `portal` and `job` hold certificate-bound tokens; `auth-manager` holds DPoP-bound ones and users' offline tokens (R9).
 */
export function developmentRealm(world: DevelopmentWorld): Realm {
  const subjectDn = world.subjectDn ?? ((workload: string) => `CN=${workload}`);
  const logout: Pick<RealmClient, 'backchannelLogout'> = world.authManagerLogoutUrl
    ? { backchannelLogout: { url: world.authManagerLogoutUrl, revokeOffline: true } }
    : {};
  const name = world.name ?? 'postern';
  return {
    name,
    displayName: 'Acme (development)',
    rotation: world.rotation ?? 'off',
    realmRoles: [],
    scopes: [
      {
        name: 'token-exchange',
        description: 'Tokens meant for token-exchange',
        inToken: false,
        audience: 'token-exchange',
      },
    ],
    clients: [
      {
        clientId: 'portal',
        description: 'The web application that people use',
        authentication: { kind: 'certificate', subjectDn: subjectDn('portal') },
        grants: ['code'],
        binding: 'certificate',
        redirectUris: world.portalRedirectUris,
        postLogoutRedirectUris: world.portalRedirectUris,
        requirePkce: true,
        requirePar: true,
        requireConsent: false,
        defaultScopes: ['token-exchange'],
        optionalScopes: [],
        roleScope: audienceRoles.map((role) => `token-exchange/${role}`),
        ...logout,
      },
      {
        clientId: 'job',
        description: 'A background job that acts for people',
        authentication: { kind: 'certificate', subjectDn: subjectDn('job') },
        grants: ['client-credentials'],
        binding: 'certificate',
        redirectUris: [],
        requirePkce: false,
        requirePar: false,
        requireConsent: false,
        defaultScopes: ['token-exchange'],
        optionalScopes: [],
        roleScope: [],
        ...logout,
      },
      {
        clientId: 'auth-manager',
        description: 'Keeps what people have consented to',
        authentication: { kind: 'private-key', jwks: world.authManagerJwks },
        grants: ['code', 'token-exchange'],
        binding: 'dpop',
        redirectUris: world.authManagerRedirectUris,
        requirePkce: true,
        requirePar: true,
        requireConsent: true,
        defaultScopes: [],
        optionalScopes: ['offline_access'],
        roleScope: [],
        introspectsAnyToken: true,
        ...logout,
      },
      {
        clientId: 'token-exchange',
        description: 'The audience of people and jobs, and the bearer of their roles',
        authentication: { kind: 'certificate', subjectDn: subjectDn('token-exchange') },
        requireConsent: false,
        optionalScopes: [],
        roles: audienceRoles,
        ...(world.approvalsPages ? signsInApprovers(world.approvalsPages) : nobodySignsIn),
      },
    ],
    users: [
      user(name, 'alice', 'Alice', 'Example', 'user'),
      user(name, 'audrey', 'Audrey', 'Example', 'auditor'),
      user(name, 'admin-ada', 'Ada', 'Example', 'admin'),
      user(name, 'admin-bob', 'Bob', 'Example', 'admin'),
      user(name, 'operator-oda', 'Oda', 'Example', 'operator'),
    ],
  };
}
