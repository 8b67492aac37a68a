import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { checkPolicy, policyChecks } from './check-policy.ts';
import { policyDocument } from './document.ts';

const read = (path: string): unknown => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
const policy = policyDocument.parse(read('../examples/token-exchange-guide.json'));
const checks = policyChecks.parse(read('../examples/checks.json'));

test('the example’s expectations hold for the example', () => {
  const results = checkPolicy(policy, checks);
  expect(results.filter(({ holds }) => !holds)).toEqual([]);
  expect(results.length).toBeGreaterThan(3);
});

test('a policy that grants what it should refuse, or refuses by another rule, is shown with both', () => {
  const open = {
    ...policy,
    scopes: policy.scopes.map((scope) => ({ ...scope, decision: 'auto_approve' as const, role: undefined })),
  };
  const broken = checkPolicy(policyDocument.parse(JSON.parse(JSON.stringify(open))), checks).filter(
    ({ holds }) => !holds,
  );
  expect(broken.length).toBeGreaterThan(0);
  for (const { expected, decided } of broken) expect(decided).not.toBe(expected);
});

test('an expectation that says nothing is no expectation', () => {
  const [first] = checks.checks;
  for (const expect_ of [{}, { granted: [] }, { granted: ['a'], refused: 'b' }, { refuse: 'no_ask' }]) {
    expect(policyChecks.safeParse({ checks: [{ ...first, expect: expect_ }] }).success).toBe(false);
  }
});
