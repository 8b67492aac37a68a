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
    'records/0001-records',
    'keys/0001-record-key-version',
    'keys/0002-certificates-and-destructions',
    'keys/0003-destruction-services',
    'record-versions/0001-record-versions',
    'record-versions/0002-record-counts',
    'record-versions/0003-refused-writes',
    'background-jobs/0001-background-jobs',
    'background-jobs/0002-ended-jobs',
    'signals/0001-signals',
  ]);
});
