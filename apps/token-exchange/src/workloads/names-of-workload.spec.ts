import { expect, test } from '@jest/globals';
import type { PolicyDocument } from '@postern/policy';
import { namesOfWorkload } from './names-of-workload.ts';

const policy = { workloads: [{ name: 'job', client: 'acme-job' }, { name: 'portal' }] } as Pick<
  PolicyDocument,
  'workloads'
>;

test.each([
  ['job', ['job', 'acme-job']],
  ['acme-job', ['acme-job', 'job']],
  ['portal', ['portal']],
  ['unknown', ['unknown']],
])('a workload that is called %s is known to tokens as %j', (called, names) => {
  expect(namesOfWorkload(policy, called)).toEqual(names);
});
