import { expect, test } from '@jest/globals';
import { readCallback } from './callback.ts';

const provider = { issuer: 'https://idp.example/realms/postern', sendsIssuer: true };
const iss = provider.issuer;
const state = 's';

test.each([
  ['a code', { state, code: 'c', iss }, { kind: 'code', state, code: 'c' }],
  ['a denial', { state, error: 'access_denied', iss }, { kind: 'denied', state }],
  ['a known error', { state, error: 'server_error', iss }, { kind: 'provider_error', state, error: 'server_error' }],
  ['an unknown error', { state, error: '<b>', iss }, { kind: 'provider_error', state, error: 'other' }],
  ['no issuer', { state, code: 'c' }, { kind: 'refused', state, reason: 'wrong_issuer' }],
  ['another issuer', { state, code: 'c', iss: `${iss}/` }, { kind: 'refused', state, reason: 'wrong_issuer' }],
  [
    'an error of another issuer',
    { state, error: 'access_denied', iss: 'https://x' },
    { kind: 'refused', state, reason: 'wrong_issuer' },
  ],
  ['neither code nor error', { state, iss }, { kind: 'refused', state, reason: 'malformed' }],
  ['both code and error', { state, code: 'c', error: 'e', iss }, { kind: 'refused', state, reason: 'malformed' }],
] as const)('R18: a callback with %s is read as what it is', (_name, query, expected) => {
  expect(readCallback(query, provider)).toEqual(expected);
});

test('a provider that does not promise iss may leave it out, not send another', () => {
  const older = { ...provider, sendsIssuer: false };
  expect(readCallback({ state, code: 'c' }, older).kind).toBe('code');
  expect(readCallback({ state, code: 'c', iss: 'https://x' }, older).kind).toBe('refused');
});
