import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { policyDocument } from './document.ts';
import { quotasFor } from './tenant-quotas.ts';

const read = (path: string) => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as object;

test('a tenant has its own quotas, else those of its namespace, else those of all; and those of the audiences only', () => {
  const policy = {
    tenants: [
      { id: 'acme', quotas: { 'crypto-store': { records: 5 }, 'key-proxy': { requestsPerMinute: 9 } } },
      { id: 'kp_own', quotas: {} },
      { prefix: 'kp_', quotas: { 'key-proxy': { requestsPerMinute: 3 } } },
      { id: 'other' },
    ],
    quotas: { 'crypto-store': { records: 1 } },
  };
  expect(quotasFor(policy, 'acme', ['crypto-store'])).toEqual({ 'crypto-store': { records: 5 } });
  expect(quotasFor(policy, 'acme', ['audit-sink'])).toBeUndefined();
  expect(quotasFor(policy, 'kp_1', ['key-proxy', 'crypto-store'])).toEqual({ 'key-proxy': { requestsPerMinute: 3 } });
  expect(quotasFor(policy, 'kp_own', ['key-proxy'])).toBeUndefined();
  for (const tenant of ['other', 'made-by-a-route'])
    expect(quotasFor(policy, tenant, ['crypto-store'])).toEqual({ 'crypto-store': { records: 1 } });
});

test('a document whose quota is of no target, of nothing, or no number is refused with its place', () => {
  const refusalOf = (quotas: object) => {
    const parsed = policyDocument.safeParse({ ...read('../../../infra/dev/policy.json'), quotas });
    return parsed.success ? 'read' : parsed.error.issues[0]?.path.join('.');
  };
  expect(refusalOf({ 'crypto-store': { requestsPerMinute: 600, records: 10 } })).toBe('read');
  expect(refusalOf({ nowhere: { requestsPerMinute: 10 } })).toBe('quotas.nowhere');
  expect(refusalOf({ 'crypto-store': { grants: 10 } })).toBe('quotas.crypto-store.grants');
  expect(refusalOf({ 'auth-manager': { grants: 10 }, 'key-proxy': { secrets: 10 } })).toBe('read');
  expect(refusalOf({ 'key-proxy': { requests: 10 } })).toBe('quotas.key-proxy');
  expect(refusalOf({ 'crypto-store': { records: 0 } })).toBe('quotas.crypto-store.records');
});
