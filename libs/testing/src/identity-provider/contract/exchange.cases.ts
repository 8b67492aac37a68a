import { expect, test } from '@jest/globals';

import { audiencesOf, claimsOf, newDpopKey, scopesOf } from './relying-party.ts';
import { type Subject } from './subject.ts';

const type = (name: string) => `urn:ietf:params:oauth:token-type:${name}`;

/** Keycloak's Standard Token Exchange V2: what it allows too much of, and what it refuses. */
export function exchangeCases(subject: () => Subject): void {
  const subjectToken = async (username = 'alice') => {
    const { body } = await (await subject().party('browser')).login(username, { par: false });
    return body;
  };
  const both = 'llama:inference mcp:list_files';

  test('an exchange keeps user and login, names the requester, and widens scope', async () => {
    const { access_token: token } = await subjectToken();
    const { status, body } = await (
      await subject().party('gateway')
    ).exchange(token, { scope: 'llama:inference', audience: 'llama' });
    expect(status).toBe(200);
    const [before, after] = [claimsOf(token), claimsOf(body['access_token'])];
    expect(after).toMatchObject({ azp: 'gateway', sub: before['sub'], sid: before['sid'], aud: 'llama' });
    expect(scopesOf(body)).toEqual(['email', 'llama:inference', 'profile']);
    expect(body).toMatchObject({ issued_token_type: type('access_token'), refresh_expires_in: 0 });
    expect([599, 600]).toContain(body['expires_in']);
    expect(body['refresh_token']).toBeUndefined();
    expect(after['act']).toBeUndefined();
  });

  test('without scope and audience it gives the default scopes and no audience', async () => {
    const { access_token: token } = await subjectToken();
    const { status, body } = await (await subject().party('gateway')).exchange(token);
    expect([status, scopesOf(body)]).toEqual([200, ['email', 'profile']]);
    expect(audiencesOf(claimsOf(body['access_token']))).toEqual([]);
  });

  test('a narrowed audience leaves the scopes and roles of the other in the token', async () => {
    const { access_token: token } = await subjectToken();
    const { body } = await (await subject().party('gateway')).exchange(token, { scope: both, audience: 'mcp' });
    const claims = claimsOf(body['access_token']);
    expect(claims.aud).toBe('mcp');
    expect(scopesOf(claims)).toEqual(['email', 'llama:inference', 'mcp:list_files', 'profile']);
    expect((claims['realm_access'] as { roles: string[] }).roles.sort()).toEqual(['file-lister', 'inference-user']);
  });

  test('two audiences are both given', async () => {
    const { access_token: token } = await subjectToken();
    const { body } = await (
      await subject().party('gateway')
    ).exchange(token, { scope: both, audience: ['mcp', 'llama'] });
    expect(audiencesOf(claimsOf(body['access_token']))).toEqual(['llama', 'mcp']);
  });

  test('a scope whose role the user lacks is dropped without an error', async () => {
    const { access_token: token } = await subjectToken('audrey');
    const { status, body } = await (await subject().party('gateway')).exchange(token, { scope: both });
    expect([status, scopesOf(body)]).toEqual([200, ['email', 'mcp:list_files', 'profile']]);
  });

  test.each([
    ['a scope of nobody', { scope: 'nobody:knows' }, 400, 'invalid_scope'],
    ['a scope not assigned to the requester', { scope: 'mcp:write' }, 400, 'invalid_scope'],
    [
      'an audience that no granted scope reaches',
      { scope: 'llama:inference', audience: 'mcp' },
      400,
      'invalid_request',
    ],
    ['an audience that is no client', { scope: 'llama:inference', audience: 'nobody' }, 400, 'invalid_client'],
    ['another subject', { requested_subject: 'audrey' }, 400, 'invalid_request'],
    [
      'a refresh token without being allowed to',
      { requested_token_type: type('refresh_token') },
      400,
      'invalid_request',
    ],
    ['a plain JWT', { requested_token_type: type('jwt') }, 400, 'invalid_request'],
  ])('refuses %s', async (_what, form, status, error) => {
    const { access_token: token } = await subjectToken();
    const answer = await (await subject().party('gateway')).exchange(token, form);
    expect([answer.status, answer.body['error']]).toEqual([status, error]);
  });

  test('resource and actor_token are ignored', async () => {
    const { access_token: token } = await subjectToken();
    const { status, body } = await (
      await subject().party('gateway')
    ).exchange(token, {
      resource: 'https://elsewhere.example/',
      actor_token: String(token),
      actor_token_type: type('access_token'),
    });
    expect(status).toBe(200);
    expect(claimsOf(body['access_token'])['act']).toBeUndefined();
  });

  test('R8: a requester that is neither audience nor holder of the subject token is refused', async () => {
    const { access_token: token } = await subjectToken();
    const answer = await (await subject().party('stranger')).exchange(token);
    expect([answer.status, answer.body['error']]).toEqual([403, 'access_denied']);
  });

  test('a client without the setting is refused, a wrong secret too', async () => {
    const { access_token: token } = await subjectToken();
    const off = await (await subject().party('llama')).exchange(token);
    expect([off.status, off.body['error']]).toEqual([400, 'invalid_request']);
    const wrong = await (await subject().party('gateway', { secret: 'wrong' })).exchange(token);
    expect([wrong.status, wrong.body['error']]).toEqual([401, 'unauthorized_client']);
  });

  test('only access tokens of this realm are subjects', async () => {
    const { refresh_token: refresh, id_token: id } = await subjectToken();
    const gateway = await subject().party('gateway');
    for (const answer of [
      await gateway.exchange('garbage'),
      await gateway.exchange(refresh, { subject_token_type: type('refresh_token') }),
      await gateway.exchange(id, { subject_token_type: type('id_token') }),
    ]) {
      expect([answer.status, answer.body['error']]).toEqual([400, 'invalid_request']);
    }
  });

  test('an ID token may be asked for', async () => {
    const { access_token: token } = await subjectToken();
    const form = { scope: 'openid', requested_token_type: type('id_token') };
    const { status, body } = await (await subject().party('gateway')).exchange(token, form);
    expect([status, body['token_type'], body['issued_token_type']]).toEqual([200, 'N_A', type('id_token')]);
  });

  test('a token that the requester got by an exchange may be exchanged again', async () => {
    const { access_token: token } = await subjectToken();
    const gateway = await subject().party('gateway');
    const { body } = await gateway.exchange(token, { scope: 'llama:inference' });
    expect((await gateway.exchange(body['access_token'], { scope: 'mcp:list_files' })).status).toBe(200);
  });

  test('with the setting a refresh token of the same login is given, never an offline one', async () => {
    const { access_token: token } = await subjectToken();
    const requester = await subject().party('gateway-refresh');
    const form = { requested_token_type: type('refresh_token') };
    const { status, body } = await requester.exchange(token, form);
    expect(status).toBe(200);
    expect(claimsOf(body['refresh_token'])).toMatchObject({ typ: 'Refresh', sid: claimsOf(token)['sid'] });
    expect((await requester.refresh(body['refresh_token'])).status).toBe(200);
    const offline = await requester.exchange(token, { ...form, scope: 'offline_access' });
    expect([offline.status, offline.body['error']]).toEqual([400, 'invalid_request']);
  });

  test('R10: a subject token bound to another client is refused, with its proof and without', async () => {
    const dpop = newDpopKey();
    const { body } = await (await subject().party('browser-dpop')).login('alice', { par: false, dpop });
    const gateway = await subject().party('gateway');
    for (const options of [{}, { dpop }]) {
      const answer = await gateway.exchange(body['access_token'], {}, options);
      expect([answer.status, answer.body['error']]).toEqual([400, 'invalid_request']);
      expect(answer.body['error_description']).toMatch(/^Sender-constrained token exchange rejected/);
    }
  });

  test("R10: auth-manager exchanges its own user's token with its own proof, for what the user agreed to", async () => {
    const manager = await subject().party('auth-manager');
    const dpop = newDpopKey();
    const { body } = await manager.login('alice', { scope: 'openid offline_access mcp:list_files', dpop });
    const form = { scope: 'mcp:list_files', audience: 'mcp' };
    const exchanged = await manager.exchange(body['access_token'], form, { dpop });
    expect([exchanged.status, exchanged.body['token_type']]).toEqual([200, 'DPoP']);
    expect(claimsOf(exchanged.body['access_token'])).toMatchObject({ aud: 'mcp', azp: 'auth-manager' });

    const other = await manager.exchange(body['access_token'], form, { dpop: newDpopKey() });
    expect([other.status, other.body['error']]).toEqual([400, 'invalid_request']);
    const wider = await manager.exchange(body['access_token'], { scope: 'llama:inference' }, { dpop });
    expect([wider.status, wider.body['error']]).toEqual([400, 'invalid_scope']);
    expect(wider.body['error_description']).toMatch(/^Missing consents for Token Exchange/);
  });
}
