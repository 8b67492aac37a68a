import { generateKeyPairSync, type KeyObject } from 'node:crypto';

import { developmentRealm } from '../development-realm.ts';
import { type Realm, type RealmClient } from '../realm.ts';

export const callback = 'https://127.0.0.1:9443/callback';

/** The private halves of the contract's clients. */
export type ContractKeys = { authManager: KeyObject; authManagerKid: string };

export function createKeys(): { keys: ContractKeys; jwks: { keys: Record<string, unknown>[] } } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const kid = 'auth-manager-1';
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' };
  return { keys: { authManager: privateKey, authManagerKid: kid }, jwks: { keys: [jwk] } };
}

const plain: Omit<RealmClient, 'clientId' | 'description' | 'authentication' | 'grants'> = {
  binding: 'none',
  redirectUris: [],
  requirePkce: false,
  requirePar: false,
  requireConsent: false,
  defaultScopes: [],
  optionalScopes: [],
  roleScope: [],
};

const secretOf = (clientId: string) => `${clientId}-secret`;

const confidential = (clientId: string, more: Partial<RealmClient> = {}): RealmClient => ({
  ...plain,
  clientId,
  description: clientId,
  authentication: { kind: 'secret', secret: secretOf(clientId) },
  grants: [],
  ...more,
});

const reachable = ['llama:inference', 'mcp:list_files', 'offline_access'];

/**
 * The development realm with what the contract needs beside it: a browser application without a certificate, a gateway
 * that exchanges its users' tokens for two services, and the two services.
 */
export function contractRealm(options: {
  name: string;
  rotation: Realm['rotation'];
  jwks: { keys: Record<string, unknown>[] };
  logoutUrl: string;
}): Realm {
  const base = developmentRealm({
    name: options.name,
    rotation: options.rotation,
    portalRedirectUris: [callback],
    authManagerRedirectUris: [callback],
    authManagerLogoutUrl: options.logoutUrl,
    authManagerJwks: options.jwks,
  });
  const browser: RealmClient = {
    ...plain,
    clientId: 'browser',
    description: 'A browser application',
    authentication: { kind: 'public' },
    grants: ['code'],
    redirectUris: [callback],
    postLogoutRedirectUris: [callback],
    requirePkce: true,
    defaultScopes: ['for-gateway', 'for-gateway-refresh'],
    optionalScopes: reachable,
    backchannelLogout: { url: options.logoutUrl, revokeOffline: false },
  };
  const roles: Record<string, string[]> = { alice: ['inference-user', 'file-lister'], audrey: ['file-lister'] };
  return {
    ...base,
    realmRoles: ['inference-user', 'file-lister'],
    scopes: [
      ...base.scopes,
      { name: 'for-gateway', description: 'Tokens meant for the gateway', inToken: false, audience: 'gateway' },
      { name: 'for-gateway-refresh', description: 'The other gateway', inToken: false, audience: 'gateway-refresh' },
      {
        name: 'llama:inference',
        description: 'Ask the model',
        inToken: true,
        audience: 'llama',
        roles: ['inference-user'],
      },
      { name: 'mcp:list_files', description: 'List files', inToken: true, audience: 'mcp', roles: ['file-lister'] },
      { name: 'mcp:write', description: 'Write files', inToken: true, audience: 'mcp' },
    ],
    clients: [
      ...base.clients.map((client) =>
        client.clientId === 'auth-manager' ? { ...client, optionalScopes: reachable } : client,
      ),
      browser,
      { ...browser, clientId: 'browser-dpop', description: 'A browser application with DPoP', binding: 'dpop' },
      confidential('llama'),
      confidential('mcp'),
      confidential('gateway', { grants: ['token-exchange'], optionalScopes: reachable }),
      confidential('gateway-refresh', {
        grants: ['token-exchange'],
        optionalScopes: reachable,
        exchangeForRefreshTokens: true,
      }),
      confidential('stranger', { grants: ['token-exchange'] }),
    ],
    // ada may not have offline tokens
    users: base.users.map((user) => ({
      ...user,
      roles: [...user.roles, ...(roles[user.username] ?? [])].filter(
        (role) => !(user.username === 'admin-ada' && role === 'offline_access'),
      ),
    })),
  };
}

export { secretOf };
