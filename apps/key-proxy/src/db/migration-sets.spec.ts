import { expect, test } from '@jest/globals';
import { migrationSets } from './migration-sets.ts';

test('the migrations are these, in this order: a step is never renamed, moved or dropped', () => {
  const steps = migrationSets.flatMap(({ set, steps }) => Object.keys(steps).map((step) => `${set}/${step}`));
  expect(steps).toEqual([
    'single-use/0001-single-use',
    'outbox/0001-outbox',
    'outbox/0002-batches',
    'outbox/0003-groups',
    'outbox/0004-trusted-key',
    'branch-keys/0001-branch-keys',
    'branch-keys/0002-key-states',
    'branch-keys/0003-sealed-key-version',
    'branch-keys/0004-destruction',
    'branch-keys/0005-ended-tenants',
    'issuer/0001-issuer-keys',
    'issuer/0002-revocations',
    'background-jobs/0001-background-jobs',
    'background-jobs/0002-ended-jobs',
    'key-proxy/0001-key-proxy',
    'key-proxy/0002-secrets',
    'key-proxy/0003-accounts',
    'key-proxy/0004-grants-and-uses',
    'key-proxy/0005-moves',
    'key-proxy/0006-repeats-and-tokens',
    'key-proxy/0007-secret-counts',
    'key-proxy/0008-tag-writes',
    'signals/0001-signals',
  ]);
});
