import { expect, test } from '@jest/globals';

import { services, workloads, type Service } from './services.ts';
import { type Urls } from './state.ts';
import { trustFor } from './trust.ts';

const urls = Object.fromEntries(
  services.map((service, at): [Service, Urls] => [
    service,
    {
      api: `https://127.0.0.1:${20_000 + at}`,
      public: `https://127.0.0.1:${20_100 + at}`,
      management: `http://127.0.0.1:${20_200 + at}`,
    },
  ]),
) as Record<Service, Urls>;
const realm = { issuer: 'https://127.0.0.1:20300/realms/postern', jwksUri: 'https://127.0.0.1:20300/certs' };
const tableOf = (service: Service) => trustFor(service, { realm, urls });

const issuerName = (issuer: string) =>
  issuer === realm.issuer ? 'realm' : services.find((service) => urls[service].public === issuer);
const believed = (service: Service) =>
  Object.fromEntries(tableOf(service).issuers.map(({ issuer, kinds }) => [issuerName(issuer), kinds]));

test.each<[Service, Record<string, string[]>]>([
  [
    'token-exchange',
    {
      realm: ['provider-access'],
      'auth-manager': ['grant'],
      'token-exchange': ['postern-access'],
      'key-proxy': ['postern-access'],
    },
  ],
  ['key-proxy', { 'token-exchange': ['postern-access'], 'key-proxy': ['postern-access'] }],
  ['auth-manager', { 'token-exchange': ['postern-access'] }],
  ['crypto-store', { 'token-exchange': ['postern-access'] }],
  ['audit-sink', { 'token-exchange': ['postern-access'] }],
])('%s believes exactly the issuers it has a use for, each for its own kind (R1, R7)', (service, issuers) => {
  expect(believed(service)).toEqual(issuers);
});

test('the realm has one fixed tenant, and what key-proxy mints is of its own namespace (R1, R2)', () => {
  const { issuers } = tableOf('token-exchange');
  const tenantOf = (issuer: string) => issuers.find((entry) => entry.issuer === issuer)?.tenant;
  expect(tenantOf(realm.issuer)).toEqual({ fixed: 'acme' });
  expect(tenantOf(urls['key-proxy'].public)).toEqual({ claim: 'tenant', prefix: 'kp_' });
});

test.each(services)('%s takes one signature algorithm, and keys over TLS from the issuer itself', (service) => {
  for (const { issuer, algorithms, jwksUri } of tableOf(service).issuers) {
    expect(algorithms).toEqual(['ES256']);
    expect(new URL(jwksUri ?? '').origin).toBe(new URL(issuer).origin);
    expect(new URL(issuer).protocol).toBe('https:');
  }
});

test.each(services)('%s knows every workload by an id of its own in the development trust domain (R4)', (service) => {
  const { trustDomain, workloads: known } = tableOf(service);
  expect(trustDomain).toBe('dev.postern.internal');
  expect(known).toEqual(workloads.map((name) => ({ name, spiffeId: `spiffe://dev.postern.internal/${name}` })));
});
