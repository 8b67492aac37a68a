import { expect, test } from '@jest/globals';
import type { Principal } from '@postern/oidc';
import type { PolicyDocument } from '@postern/policy';
import { whyNotApprover } from './decide-approval.ts';

const issuer = 'https://realm.example';
const policy = {
  roles: [{ name: 'admin', includes: [] as string[] }],
  workloads: [{ name: 'job', client: 'acme-job' }, { name: 'portal' }],
  approvals: { issuer, role: 'admin', expireSeconds: 60 },
} as unknown as PolicyDocument;
const requested = { person_issuer: issuer, person_sub: 'alice', actors: ['job'] };
const carol = (over: Partial<Principal>) =>
  ({
    person: { issuer, sub: 'carol' },
    roles: new Set(['admin']),
    actors: [],
    clientId: 'portal',
    claims: {},
    ...over,
  }) as unknown as Principal;

test.each<[string, Partial<Principal>, string | null]>([
  ['through another workload', {}, null],
  ['through the one that would act', { actors: ['job'] }, 'Nobody who acts in the request approves it'],
  ['with a token of its client', { clientId: 'acme-job' }, 'Nobody who acts in the request approves it'],
  ['as themselves', { person: { issuer, sub: 'alice' } }, 'Nobody approves for themselves'],
  [
    'from another issuer',
    { person: { issuer: 'https://other.example', sub: 'carol' } },
    'Approvers come from the issuer that the policy names',
  ],
  ['without the role', { roles: new Set(['user']) }, 'You lack the role that the policy names'],
])('R19: an approver %s', (_, over, why) => {
  expect(whyNotApprover(policy, carol(over), requested)).toEqual(why);
});
