import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { trustTable, type TrustTable } from './trust-table.ts';

const realm = {
  issuer: 'https://idp.example.internal/realms/acme',
  jwksUri: 'https://idp.example.internal/realms/acme/protocol/openid-connect/certs',
  kinds: ['provider-access' as const],
  algorithms: ['ES256' as const],
  scopeCeiling: 'policy' as const,
  tenant: { fixed: 'acme' },
};
const table: TrustTable = {
  trustDomain: 'example.internal',
  workloads: [{ name: 'portal', spiffeId: 'spiffe://example.internal/portal' }],
  issuers: [realm],
};
const accepts = (over: object) => trustTable.safeParse({ ...table, ...over }).success;

describe('the operator’s table (R1, R4)', () => {
  test('is taken as it is written', () => expect(trustTable.parse(table)).toEqual(table));

  test.each<[string, object]>([
    ['plain http', { issuer: 'http://idp.example.internal/realms/acme' }],
    ['a symmetric algorithm', { algorithms: ['HS256'] }],
    ['no algorithm', { algorithms: [] }],
    ['two kinds under one typ header (R7)', { kinds: ['provider-access', 'postern-access'] }],
    ['no tenant rule', { tenant: undefined }],
    ['a tenant rule of both sorts', { tenant: { fixed: 'acme', claim: 'tenant' } }],
    ['another claim for the tenant', { tenant: { claim: 'company' } }],
    ['an unknown member', { trusted: true }],
  ])('an issuer with %s is refused', (_, over) => {
    expect(accepts({ issuers: [{ ...realm, ...over }] })).toBe(false);
  });

  test('two lines for one issuer, two issuers with one key set, a workload twice or outside the domain are refused', () => {
    const other = { ...realm, issuer: 'https://other.example.internal' };
    const [portal] = table.workloads;
    expect(accepts({ issuers: [realm, realm] })).toBe(false);
    expect(accepts({ issuers: [realm, other] })).toBe(false);
    expect(accepts({ issuers: [realm, { ...other, jwksUri: `${other.issuer}/jwks` }] })).toBe(true);
    expect(accepts({ workloads: [portal, { ...portal, name: 'job' }] })).toBe(false);
    expect(accepts({ workloads: [{ name: 'job', spiffeId: 'spiffe://elsewhere.internal/job' }] })).toBe(false);
  });

  test('the JSON Schema in the repository is the one of this code', () => {
    const file: unknown = JSON.parse(readFileSync(new URL('../trust.schema.json', import.meta.url), 'utf8'));
    expect(file).toEqual(JSON.parse(JSON.stringify(z.toJSONSchema(trustTable, { io: 'input' }))));
  });
});
