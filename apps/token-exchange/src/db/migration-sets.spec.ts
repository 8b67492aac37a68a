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
    'exchanges/0001-exchanges',
    'exchanges/0002-policies',
    'exchanges/0003-approvals',
    'exchanges/0004-origins',
    'exchanges/0005-compromised-workloads',
    'exchanges/0006-several-audiences',
    'exchanges/0007-ended-tenants',
    'exchanges/0008-person-names',
    'web/0001-web-sessions',
    'web/0002-names',
    'signals/0001-signals',
  ]);
});
