import { expect, test } from '@jest/globals';
import { shownAnswer, shownForm, withoutTokens } from './trace.ts';

const token = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl';

test('a trace shows what is no secret, and by name only', () => {
  const form = {
    grant_type: 'g',
    scope: 'a:b',
    audience: 'x',
    subject_token: token,
    client_assertion: token,
    new_one: 'canary',
  };
  expect(shownForm(new URLSearchParams(form))).toEqual({
    grant_type: 'g',
    scope: 'a:b',
    audience: 'x',
    subject_token: '[hidden]',
    client_assertion: '[hidden]',
    new_one: '[hidden]',
  });
  expect(
    shownAnswer({ access_token: token, refresh_token: 'r', expires_in: 60, error_description: `bad ${token}` }),
  ).toEqual({
    access_token: '[hidden]',
    refresh_token: '[hidden]',
    expires_in: 60,
    error_description: 'bad [hidden]',
  });
  expect(withoutTokens(`x ${token} y`)).toBe('x [hidden] y');
});
