import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { ACCESS_TOKEN } from './token-exchange.ts';
import { ID_TOKEN, JWT, alice, asking, job, keyProxy, open, outcome, portal, world } from './parameters/scene.ts';
import { targets } from './parameters/targets.ts';
import { idTokens } from './parameters/id-tokens.ts';
import { actors } from './parameters/actors.ts';
import { stepUp } from './parameters/step-up.ts';
import { rates } from './parameters/rates.ts';

beforeAll(open);
afterAll(() => world.close());

targets();
idTokens();
actors();
stepUp();
rates();

test('requested_token_type: what is given is both an access token and a JWT, and is called as it was asked for', async () => {
  const wanted = (type: string) =>
    asking({ audience: 'auth-manager', scope: 'grants:read', requested_token_type: type });
  expect((await wanted(ACCESS_TOKEN)).body['issued_token_type']).toBe(ACCESS_TOKEN);
  expect((await wanted(JWT)).body['issued_token_type']).toBe(JWT);
  for (const type of [
    ID_TOKEN,
    'urn:ietf:params:oauth:token-type:refresh_token',
    'urn:ietf:params:oauth:token-type:saml2',
  ]) {
    expect(outcome(await wanted(type))).toBe('400 invalid_request');
  }
});

test('a delegation chain user -> a -> b -> c, and the lineage route shows it from every token in it', async () => {
  const g = await world.jobGrant(job, {
    scopes: ['secrets:read'],
    subjectIssuer: world.realm.entry.issuer,
    claims: { acr: 'mfa', auth_time: Math.floor(Date.now() / 1000) },
  });
  const a = String((await job.exchange(g, 'key-proxy', 'secrets:read')).body['access_token']);
  const b = String((await keyProxy.exchange(a, 'crypto-store', 'records:read')).body['access_token']);
  const login = await alice({ roles: ['auditor'], sub: 'audrey' });
  const { body } = await portal.exchange(login, 'token-exchange', 'exchanges:read');
  const headers = { authorization: `Bearer ${String(body['access_token'])}` };
  type Node = { id: string; actors: string[]; audience: string; parent: { id: string } };
  const of = async (token: string) =>
    (await portal.call(`/v1/exchanges/${decodeJwt(token).jti}`, { headers })).body as {
      exchange: Node & { person: { sub: string } };
      ancestors: Node[];
      descendants: Node[];
    };
  const [atA, atB] = [await of(a), await of(b)];
  expect(atA.exchange).toMatchObject({ parent: { id: decodeJwt(g).jti, kind: 'grant' }, person: { sub: 'alice' } });
  expect(atA.descendants.map(({ id }) => id)).toEqual([decodeJwt(b).jti]);
  expect(atB.ancestors.map(({ id }) => id)).toEqual([decodeJwt(a).jti]);
  expect(atB.exchange).toMatchObject({ actors: ['key-proxy', 'job'], audience: 'crypto-store' });
});
