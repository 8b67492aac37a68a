import { expect, test } from '@jest/globals';
import { readCallback } from './callback.ts';

const provider = { issuer: 'https://idp.example/realms/postern', sendsIssuer: true };
const iss = provider.issuer;

test.each([
  ['a code', { code: 'c', iss }, { kind: 'code', code: 'c' }],
  ['a denial', { error: 'access_denied', iss }, { kind: 'denied' }],
  ['a known error', { error: 'server_error', iss }, { kind: 'provider_error', error: 'server_error' }],
  ['an unknown error', { error: '<b>', iss }, { kind: 'provider_error', error: 'other' }],
  ['no issuer', { code: 'c' }, { kind: 'refused', reason: 'wrong_issuer' }],
  ['another issuer', { code: 'c', iss: `${iss}/` }, { kind: 'refused', reason: 'wrong_issuer' }],
  [
    'an error of another issuer',
    { error: 'access_denied', iss: 'https://x' },
    { kind: 'refused', reason: 'wrong_issuer' },
  ],
  ['neither code nor error', { iss }, { kind: 'refused', reason: 'malformed' }],
  ['both code and error', { code: 'c', error: 'e', iss }, { kind: 'refused', reason: 'malformed' }],
] as const)('R18: a callback with %s is read as what it is', (_name, query, expected) => {
  expect(readCallback(query, provider)).toEqual(expected);
});

test('a provider that does not promise iss may leave it out, not send another', () => {
  const older = { ...provider, sendsIssuer: false };
  expect(readCallback({ code: 'c' }, older).kind).toBe('code');
  expect(readCallback({ code: 'c', iss: 'https://x' }, older).kind).toBe('refused');
});
