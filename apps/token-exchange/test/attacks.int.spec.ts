import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ACCESS_TOKEN, TOKEN_EXCHANGE } from './token-exchange.ts';
import { alice, asked, open, portal, refused, world } from './refusals/scene.ts';
import { falseSubjects } from './refusals/subjects.ts';
import { wrongBringers } from './refusals/bringers.ts';
import { beyondTheCeiling } from './refusals/ceiling.ts';
import { falseActors } from './refusals/actors.ts';

beforeAll(open);
afterAll(() => world.close());

falseSubjects();
wrongBringers();
beyondTheCeiling();
falseActors();

test('the token of these tests is good as it is', async () => {
  expect((await asked(await alice())).status).toBe(200);
});

test('every parameter is strict', async () => {
  const form = {
    grant_type: TOKEN_EXCHANGE,
    subject_token: await alice(),
    subject_token_type: ACCESS_TOKEN,
    audience: 'auth-manager',
    scope: 'grants:read',
  };
  const but = (over: Record<string, string>) => refused(portal.post({ ...form, ...over }));
  const without = (name: keyof typeof form) =>
    refused(portal.post(Object.fromEntries(Object.entries(form).filter(([key]) => key !== name))));
  expect((await portal.post({ ...form, client_id: 'portal' })).status).toBe(200);
  expect(await but({ grant_type: 'client_credentials' })).toBe('400 unsupported_grant_type');
  expect(await but({ client_id: 'job' })).toBe('403 unauthorized_client');
  expect(await but({ scope: '' })).toBe('400 invalid_request');
  expect(await but({ audience: '' })).toBe('400 invalid_request');
  for (const name of ['actor_token', 'subject_tokens', 'client_secret', 'client_assertion']) {
    expect(await but({ [name]: 'x' })).toBe('400 invalid_request');
  }
  expect(await but({ requested_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' })).toBe(
    '400 invalid_request',
  );
  for (const name of ['grant_type', 'subject_token', 'subject_token_type'] as const) {
    expect(await without(name)).toBe('400 invalid_request');
  }
  expect(await without('scope')).toBe('400 invalid_scope');
  for (const name of ['grant_type', 'subject_token', 'scope']) {
    expect(await refused(portal.post(`${new URLSearchParams(form).toString()}&${name}=x`))).toBe('400 invalid_request');
  }
});

test('nothing that was sent as a token stands in the log', () => {
  expect(world.logged.join('\n')).not.toMatch(/eyJ[A-Za-z0-9_-]{20}/);
});
