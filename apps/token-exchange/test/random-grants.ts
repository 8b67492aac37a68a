import type { Principal } from '@postern/oidc';
import { policyDocument } from '@postern/policy';
import { ExchangeRefused } from '../src/exchanges/refusal.ts';
import type { Plan } from '../src/exchanges/plan-exchange.ts';
import { assertGrantedAsAsked } from '../src/provider/check-granted.ts';
import { randomFrom, type Random } from './random.ts';

export type Grants = {
  tried: number;
  taken: number;
  /** Answers of a provider that were taken and should not have been, or the other way round. */
  wrong: string[];
};

const policy = policyDocument.parse({
  version: '1',
  tenants: [{ id: 'acme', state: 'active' }],
  roles: [],
  targets: [{ audience: 'billing', description: 'Billing', minter: 'provider', longestLifeSeconds: 300 }],
  scopes: [],
  workloads: [],
});
const person = { issuer: 'https://realm.example', sub: 'alice' };
const subject = { tenant: 'acme', person } as Principal;
const names = ['billing:read', 'billing:write', 'billing:list'];

/** One part of an answer, and whether it is as it was asked; nine times in ten it is. */
function part<T>({ next, one }: Random, good: readonly T[], bad: readonly T[]): { value: T; good: boolean } {
  const right = next() < 0.9;
  return { value: one(right ? good : bad), good: right };
}

/** Answers of a provider put together from parts that are known to be right or wrong, so the verdict needs no second look. */
export function randomGrants(tries: number, seed: number): Grants {
  const random = randomFrom(seed);
  const wrong: string[] = [];
  let taken = 0;
  for (let tried = 0; tried < tries; tried += 1) {
    const { one, some } = random;
    const scopes = [one(names), ...some(names, 0.3)];
    const boundTo = one([undefined, 'k']);
    const identity = some(['openid', 'profile', 'email', 'address', 'phone'], 0.4);
    const planned = one([60, 300, 900]);
    const life = Math.min(planned, 300);
    const iat = 1_000_000;
    const parts = {
      scope: part<unknown>(
        random,
        [[...identity, ...scopes].join(' '), [...scopes, ...identity].reverse().join(' ')],
        [
          [...identity, ...scopes, 'billing:admin'].join(' '),
          [...scopes, 'offline_access'].join(' '),
          identity.join(' '),
          scopes.filter((name) => name !== scopes[0]).join(' '),
          undefined,
          scopes,
        ],
      ),
      aud: part<unknown>(
        random,
        ['billing', ['billing']],
        [['billing', 'account'], 'account', 'billing ', [], undefined, ['billing', 'billing']],
      ),
      resource_access: part<unknown>(
        random,
        [undefined, {}, { billing: { roles: ['reader'] } }],
        [{ account: { roles: [] } }, { billing: {}, account: {} }],
      ),
      // A realm counts seconds as its own clock does: five are let go.
      exp: part<unknown>(random, [iat + 1, iat + life, iat + life + 5], [iat + life + 6, iat + 86_400, undefined]),
      person: part<Principal['person']>(
        random,
        [person],
        [{ ...person, sub: 'bob' }, { ...person, issuer: 'https://other.example' }, null],
      ),
      kind: part<Principal['kind']>(random, ['provider-access'], ['id-token', 'grant', 'postern-access']),
      tenant: part(random, ['acme'], ['other', '']),
      binding: part<Principal['binding']>(
        random,
        boundTo === undefined ? [{ kind: 'none' }] : [{ kind: 'dpop', jkt: 'k' }],
        boundTo === undefined
          ? [
              { kind: 'dpop', jkt: 'k' },
              { kind: 'certificate', thumbprint: 'k' },
            ]
          : [{ kind: 'none' }, { kind: 'dpop', jkt: 'other' }, { kind: 'certificate', thumbprint: 'k' }],
      ),
    };
    const claims = {
      iat,
      scope: parts.scope.value,
      aud: parts.aud.value,
      resource_access: parts.resource_access.value,
      exp: parts.exp.value,
    };
    const granted = {
      kind: parts.kind.value,
      claims,
      person: parts.person.value,
      tenant: parts.tenant.value,
      binding: parts.binding.value,
    } as unknown as Principal;
    const plan = { decision: { longestLifeSeconds: planned } } as Plan;
    const asked = { audiences: ['billing'], scopes } as const;
    const expected = Object.values(parts).every(({ good }) => good);
    const was = takes(() => assertGrantedAsAsked(policy, granted, asked, plan, { subject, boundTo }));
    if (was) taken += 1;
    if (was !== expected) wrong.push(JSON.stringify({ granted, asked, boundTo, planned, expected }));
  }
  return { tried: tries, taken, wrong };
}

function takes(check: () => void): boolean {
  try {
    check();
    return true;
  } catch (error) {
    if (error instanceof ExchangeRefused) return false;
    throw error;
  }
}
