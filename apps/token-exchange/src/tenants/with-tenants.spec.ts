import { expect, test } from '@jest/globals';
import type { PolicyDocument } from '@postern/policy';
import { withTenants } from './with-tenants.ts';

const policy = {
  tenants: [{ id: 'acme', issuer: 'https://realm.example', state: 'active' }],
} as PolicyDocument;

test('a tenant that was suspended and taken back has the issuer that the policy names by now, not the one of then', () => {
  for (const then of [null, 'https://old.example']) {
    const { tenants } = withTenants(policy, [{ id: 'acme', issuer: then, state: 'active' }]);
    expect(tenants).toEqual([{ id: 'acme', issuer: 'https://realm.example', state: 'active' }]);
  }
});

test('one that the routes made keeps its own, and who was offboarded is suspended whatever the policy says', () => {
  const { tenants } = withTenants(policy, [
    { id: 'acme', issuer: null, state: 'offboarded' },
    { id: 'made', issuer: 'https://made.example', state: 'active' },
  ]);
  expect(tenants).toEqual([
    { id: 'acme', issuer: 'https://realm.example', state: 'suspended' },
    { id: 'made', issuer: 'https://made.example', state: 'active' },
  ]);
});
