import { trustTable, type IssuerEntry, type RevocationIssuer, type TrustTable } from '@postern/oidc';

import { spiffeId, TRUST_DOMAIN, workloads, type Service } from './services.ts';
import { type Urls } from './state.ts';

/**
 * The operator's table of one service (R1, R4): which issuers it believes, for which kinds, tenants and scopes,
 * and whose revocations it follows (R14). Nobody is believed by a service that has no use for its tokens.
 */
export function trustFor(service: Service, at: { realm: RealmEndpoints; urls: Record<Service, Urls> }): TrustTable {
  const minted = (issuer: Service, tenant: IssuerEntry['tenant'], scopeCeiling: IssuerEntry['scopeCeiling']) => ({
    issuer: at.urls[issuer].public,
    jwksUri: `${at.urls[issuer].public}/.well-known/jwks.json`,
    kinds: ['postern-access' as const],
    algorithms: ['ES256' as const],
    scopeCeiling,
    tenant,
    introspectionUri: `${at.urls[issuer].api}/introspect`,
  });
  const revoking = (issuer: Service, kinds: RevocationIssuer['kinds']): RevocationIssuer => ({
    issuer: at.urls[issuer].public,
    kinds,
    uri: `${at.urls[issuer].api}/v1/revocations`,
    // Beside the sequence: one connection for both.
    jwksUri: `${at.urls[issuer].api}/.well-known/jwks.json`,
    algorithms: ['ES256'],
  });
  const exchanged = minted('token-exchange', { claim: 'tenant' }, 'policy');
  const accounts = minted('key-proxy', { claim: 'tenant', prefix: 'kp_' }, 'policy');
  const issuers: Record<Service, IssuerEntry[]> = {
    'token-exchange': [
      {
        issuer: at.realm.issuer,
        jwksUri: at.realm.jwksUri,
        kinds: ['provider-access'],
        algorithms: ['ES256'],
        scopeCeiling: 'policy',
        tenant: { fixed: 'acme' },
      },
      { ...minted('auth-manager', { claim: 'tenant' }, 'policy'), kinds: ['grant'] },
      exchanged,
      accounts,
    ],
    'key-proxy': [exchanged, accounts],
    'auth-manager': [exchanged],
    'crypto-store': [exchanged],
    'audit-sink': [exchanged],
  };
  return trustTable.parse({
    trustDomain: TRUST_DOMAIN,
    workloads: workloads.map((name) => ({ name, spiffeId: spiffeId(name) })),
    issuers: issuers[service],
    revocations: [
      revoking('token-exchange', ['token', 'client', 'subject', 'tenant', 'key']),
      revoking('auth-manager', ['grant', 'session', 'token', 'key']),
      ...(issuers[service].includes(accounts) ? [revoking('key-proxy', ['token', 'key'])] : []),
    ],
  });
}

export type RealmEndpoints = { issuer: string; jwksUri: string };
