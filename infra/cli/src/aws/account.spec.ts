import { expect, test } from '@jest/globals';
import { accountOf, iamArn } from './account.ts';

test.each([
  ['arn:aws:iam::123456789012:user/ops', 'arn:aws:iam::123456789012:role/r'],
  ['arn:aws-us-gov:sts::123456789012:assumed-role/ops/me', 'arn:aws-us-gov:iam::123456789012:role/r'],
  ['arn:aws-cn:iam::123456789012:root', 'arn:aws-cn:iam::123456789012:role/r'],
])('the account of %s has the role %s', (caller, role) => {
  expect(iamArn(accountOf(caller)!, 'role/r')).toBe(role);
});

test('what is no ARN of a caller names no account', () => {
  for (const other of [undefined, '', '123456789012', 'arn:aws:kms:eu-west-1:123456789012:key/x'])
    expect(accountOf(other)).toBeUndefined();
});
