import { describe, expect, test } from '@jest/globals';
import { ProviderFailed, type Principal } from '@postern/oidc';
import { policyDocument } from '@postern/policy';
import { Problem } from '@postern/runtime';
import type { Plan } from '../exchanges/plan-exchange.ts';
import { ExchangeRefused } from '../exchanges/refusal.ts';
import { assertGrantedAsAsked } from './check-granted.ts';
import { refusalOf } from './provider-exchange.ts';

const policy = policyDocument.parse({
  version: 'v',
  tenants: [{ id: 'acme', state: 'active' }],
  roles: [],
  targets: [{ audience: 'billing', description: 'b', minter: 'provider', longestLifeSeconds: 300 }],
  scopes: [],
  workloads: [],
});
const subject = { tenant: 'acme', person: { issuer: 'https://realm.example', sub: 'alice' } } as Principal;
const asked = { audiences: ['billing'] as const, scopes: ['billing:read'] };
const plan = { decision: { longestLifeSeconds: 300 } } as Plan;
const granted = (claims: object = {}, over: Partial<Principal> = {}) =>
  ({
    ...subject,
    kind: 'provider-access',
    binding: { kind: 'none' },
    claims: { aud: 'billing', scope: 'openid profile email billing:read', iat: 1_000, exp: 1_300, ...claims },
    ...over,
  }) as Principal;

function reasonOf(token: Principal, boundTo?: string): string {
  try {
    assertGrantedAsAsked(policy, token, asked, plan, { subject, boundTo });
    return 'as asked';
  } catch (error) {
    if (error instanceof ExchangeRefused) return error.reason;
    throw error;
  }
}

describe('what a provider granted is held to what was asked and to policy', () => {
  test.each<[string, Principal, string]>([
    ['exactly that', granted(), 'as asked'],
    ['an audience as a list of one', granted({ aud: ['billing'] }), 'as asked'],
    ['a scope less', granted({ scope: 'openid' }), 'provider_narrower'],
    ['no scope at all', granted({ scope: undefined }), 'provider_narrower'],
    ['a scope more', granted({ scope: 'billing:read billing:admin' }), 'provider_wider'],
    ['an audience more', granted({ aud: ['billing', 'account'] }), 'provider_wider'],
    ['another audience', granted({ aud: 'account' }), 'provider_wider'],
    ['none', granted({ aud: undefined }), 'provider_wider'],
    ['roles of another client', granted({ resource_access: { account: { roles: ['x'] } } }), 'provider_wider'],
    ['a longer life than policy gives', granted({ exp: 1_900 }), 'provider_wider'],
    ['another person', granted({}, { person: { issuer: 'https://realm.example', sub: 'bob' } }), 'provider_wider'],
    [
      'a person of that name at another issuer',
      granted({}, { person: { issuer: 'https://other.example', sub: 'alice' } }),
      'provider_wider',
    ],
    ['what is no access token', granted({}, { kind: 'id-token' }), 'provider_wider'],
    ['no person', granted({}, { person: null }), 'provider_wider'],
    ['another tenant', granted({}, { tenant: 'other' }), 'provider_wider'],
    ['a binding that nobody asked for', granted({}, { binding: { kind: 'dpop', jkt: 'k' } }), 'provider_wider'],
  ])('%s', (_, token, expected) => expect(reasonOf(token)).toBe(expected));

  test('bound to the key of the proof, to no other and not to nobody (R10)', () => {
    expect(reasonOf(granted({}, { binding: { kind: 'dpop', jkt: 'k' } }), 'k')).toBe('as asked');
    expect(reasonOf(granted({}, { binding: { kind: 'dpop', jkt: 'other' } }), 'k')).toBe('provider_wider');
    expect(reasonOf(granted(), 'k')).toBe('provider_wider');
  });
});

test.each<[string, ProviderFailed, string]>([
  ['an unknown scope', new ProviderFailed('refused', { error: 'invalid_scope', status: 400 }), 'provider_scope'],
  [
    'an audience that is no client',
    new ProviderFailed('refused', { error: 'invalid_client', status: 400 }),
    'provider_audience',
  ],
  [
    'an audience out of reach',
    new ProviderFailed('refused', { error: 'invalid_request', status: 400 }),
    'provider_audience',
  ],
  ['outside the audience', new ProviderFailed('refused', { error: 'access_denied', status: 403 }), 'provider_denied'],
  [
    'our own credentials',
    new ProviderFailed('refused', { error: 'unauthorized_client', status: 401 }),
    'provider_unavailable',
  ],
  ['no connection', new ProviderFailed('not_sent'), 'provider_unavailable'],
  ['half an answer', new ProviderFailed('unknown'), 'provider_unavailable'],
])('an error of the provider in our words: %s', (_, failed, expected) => {
  const refusal = refusalOf(failed);
  const said =
    refusal instanceof ExchangeRefused ? refusal.reason : refusal instanceof Problem ? refusal.code : 'neither';
  expect(said).toBe(expected);
});
