import { expect, test } from '@jest/globals';
import { Secret } from '@postern/runtime';
import { UnsecuredJWT } from 'jose';
import { acceptTokens } from './accept-tokens.ts';

const issuer = 'https://idp.example/realms/postern';
const consent = { person_issuer: issuer, person_sub: 'alice', scopes: ['records:read', 'records:write'] };
const redeemed = {
  refreshToken: new Secret('opaque'),
  scopes: ['openid', 'offline_access'],
  idToken: { iss: issuer, sub: 'alice', sid: 's1' },
};
const none: ReadonlySet<string> = new Set();

test('R18: only the person who started the consent can complete it', () => {
  for (const idToken of [
    { iss: issuer, sub: 'mallory' },
    { iss: `${issuer}/`, sub: 'alice' },
    { iss: 'https://other.example', sub: 'alice' },
  ]) {
    expect(acceptTokens(consent, { ...redeemed, idToken }, none)).toEqual({ refused: 'other_person' });
  }
  expect(acceptTokens(consent, redeemed, none)).toMatchObject({ session: 's1', scopes: consent.scopes });
});

test('R9: a refresh token that is bound to a certificate is not taken', () => {
  const refreshToken = new Secret(new UnsecuredJWT({ cnf: { 'x5t#S256': 'x' } }).encode());
  expect(acceptTokens(consent, { ...redeemed, refreshToken }, none)).toEqual({ refused: 'certificate_bound_token' });
  const dpop = new Secret(new UnsecuredJWT({ cnf: { jkt: 'x' } }).encode());
  expect(acceptTokens(consent, { ...redeemed, refreshToken: dpop }, none)).toHaveProperty('token');
});

test('a scope that the provider knows counts only when it was granted there', () => {
  const known = new Set(['records:write']);
  expect(acceptTokens(consent, redeemed, known)).toMatchObject({ scopes: ['records:read'] });
  expect(acceptTokens({ ...consent, scopes: ['records:write'] }, redeemed, known)).toEqual({
    refused: 'nothing_consented',
  });
});

test('without an offline token there is no grant', () => {
  expect(acceptTokens(consent, { ...redeemed, refreshToken: undefined }, none)).toEqual({
    refused: 'no_offline_token',
  });
  expect(acceptTokens(consent, { ...redeemed, scopes: ['openid'] }, none)).toEqual({ refused: 'no_offline_token' });
});
