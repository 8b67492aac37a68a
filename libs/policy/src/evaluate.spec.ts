import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import {
  evaluate,
  evaluateTogether,
  policyDocument,
  policyJsonSchema,
  type JointRequest,
  type Request,
} from './index.ts';

const read = (path: string): unknown => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
const development = policyDocument.parse(read('../../../infra/dev/policy.json'));
const guide = policyDocument.parse(read('../examples/token-exchange-guide.json'));

const person = { issuer: 'https://realm.example/realms/postern', sub: 'alice' };
const asked = (over: Partial<Request>): Request => ({
  tenant: 'acme',
  person,
  roles: new Set(['user']),
  workload: 'portal',
  subjectClient: 'portal',
  subjectKind: 'provider-access',
  audience: 'auth-manager',
  requestedScopes: ['grants:read'],
  ...over,
});
const decide = (over: Partial<Request> = {}) => evaluate(development, asked(over));
const job = { workload: 'job', subjectClient: 'job' } as const;
const nobody = { person: null, roles: new Set<string>() };

describe('the development policy grants the tour, row by row', () => {
  test.each<[string, Partial<Request>, string]>([
    ['portal for alice', { requestedScopes: ['grants:read', 'grants:write'] }, 'workloads.portal.asks.0'],
    ['job for itself', { ...job, ...nobody, requestedScopes: ['grants:use'] }, 'workloads.job.asks.0'],
    [
      'job for alice by grant',
      {
        ...job,
        subjectKind: 'grant',
        roles: new Set(),
        audience: 'crypto-store',
        requestedScopes: ['records:read', 'records:write'],
        ceiling: new Set(['records:read', 'records:write']),
      },
      'workloads.job.asks.1',
    ],
    [
      'key-proxy for alice’s job',
      {
        workload: 'key-proxy',
        subjectClient: 'job',
        subjectKind: 'postern-access',
        audience: 'crypto-store',
        requestedScopes: ['records:write'],
        ceiling: new Set(['secrets:write']),
      },
      'workloads.key-proxy.asks.0',
    ],
    [
      'the auditor',
      { roles: new Set(['auditor']), audience: 'audit-sink', requestedScopes: ['audit:read'] },
      'workloads.portal.asks.3',
    ],
    [
      'key-proxy, in the name of an administrator, the events of their tenant',
      {
        workload: 'key-proxy',
        subjectClient: 'key-proxy',
        subjectKind: 'postern-access',
        tenant: 'kp_1',
        roles: new Set(['admin']),
        audience: 'audit-sink',
        requestedScopes: ['audit:read-tenant'],
        ceiling: new Set(['secrets:audit']),
      },
      'workloads.key-proxy.asks.1',
    ],
  ])('%s', (_, over, place) => {
    const decision = decide(over);
    expect(decision.granted).toEqual(over.requestedScopes);
    expect(decision.decidedBy).toBe(place);
    expect(decision.longestLifeSeconds).toBeGreaterThan(0);
  });
});

describe('everything else is refused, and the rule is named', () => {
  test.each<[string, Partial<Request>]>([
    ['tenant_unknown', { tenant: 'other' }],
    ['workload_unknown', { workload: 'stranger' }],
    ['target_unknown', { audience: 'elsewhere' }],
    ['no_ask', { subjectClient: 'job' }],
    ['no_ask', { ...nobody }],
    ['no_ask', { subjectKind: 'grant' }],
    ['no_ask', { ...job, audience: 'audit-sink', requestedScopes: ['audit:read'] }],
    ['no_scope_asked', { requestedScopes: [] }],
    ['scope_unknown', { requestedScopes: ['grants:everything'] }],
    ['scope_unknown', { requestedScopes: ['grants:read', 'records:read'] }],
    ['scope_not_asked_for', { requestedScopes: ['grants:use'] }],
    ['role_missing', { roles: new Set(['someone']) }],
    ['role_missing', { audience: 'audit-sink', requestedScopes: ['audit:read'] }],
    ['above_ceiling', { ceiling: new Set(['grants:write']) }],
  ])('%s', (rule, over) => {
    const decision = decide(over);
    expect(decision).toMatchObject({ granted: [], decidedBy: rule, longestLifeSeconds: 0, minter: null });
  });

  test('a minted subject never widens: without the scope, or one it follows from, nothing is granted', () => {
    const minted = {
      workload: 'key-proxy',
      subjectClient: 'job',
      subjectKind: 'postern-access',
      audience: 'crypto-store',
      requestedScopes: ['records:write'],
    } as const;
    expect(decide({ ...minted, ceiling: new Set(['secrets:read']) }).decidedBy).toBe('above_ceiling');
    expect(decide({ ...minted, ceiling: new Set() }).decidedBy).toBe('above_ceiling');
    const log = { ...minted, subjectClient: 'portal', audience: 'audit-sink', roles: new Set(['admin', 'auditor']) };
    const events = { ...log, requestedScopes: ['audit:read-tenant'], ceiling: new Set(['secrets:read']) };
    expect(decide(events).decidedBy).toBe('above_ceiling');
    const whole = { ...log, requestedScopes: ['audit:read'], ceiling: new Set(['secrets:audit']) };
    expect(decide(whole).decidedBy).toBe('scope_not_asked_for');
    expect(decide(minted).decidedBy).toBe('above_ceiling');
  });

  test('one refused scope refuses all: nothing is dropped silently', () => {
    const decision = decide({ requestedScopes: ['grants:read', 'grants:use'] });
    expect(decision.granted).toEqual([]);
    expect(decision.refused).toEqual([{ scope: 'grants:use', rule: 'scope_not_asked_for' }]);
  });

  test('a suspended tenant, and a suspended namespace', () => {
    const tenants = [
      { id: 'acme', state: 'suspended' as const },
      { prefix: 'kp_', state: 'suspended' as const },
    ];
    expect(evaluate({ ...development, tenants }, asked({})).decidedBy).toBe('tenant_suspended');
    expect(evaluate({ ...development, tenants }, asked({ tenant: 'kp_1' })).decidedBy).toBe('tenant_suspended');
  });
});

describe('the guide’s policy', () => {
  const of = (roles: string[], scope: string) =>
    evaluate(guide, {
      ...asked({ tenant: 'demo', workload: 'authentication-demo', subjectClient: 'authentication-demo' }),
      person: { issuer: 'https://keycloak.example.internal/realms/authentication-demo', sub: 'alice' },
      audience: scope.split(':')[0] ?? '',
      roles: new Set(roles),
      requestedScopes: [scope],
    }).decidedBy;

  test('has the 18 scopes of the project and the guide’s own three; a user gets what a user may have', () => {
    expect(guide.scopes).toHaveLength(21);
    const given = guide.scopes.filter(({ name }) => of(['user'], name).startsWith('workloads.'));
    expect(given.map(({ name }) => name)).not.toContain('llama:admin');
    expect(given).toHaveLength(17);
  });

  test('people of another realm are not its tenant’s', () => {
    const foreign = evaluate(guide, { ...asked({ tenant: 'demo', workload: 'authentication-demo' }) });
    expect(foreign.decidedBy).toBe('person_of_another_issuer');
  });

  test('role, approval and the ladder of roles', () => {
    expect(of(['user'], 'llama:models:write')).toBe('role_missing');
    expect(of(['admin'], 'llama:models:write')).toMatch(/^workloads/);
    expect(of(['admin'], 'mcp:list_files')).toMatch(/^workloads/);
    expect(of(['admin'], 'mcp:execute_command')).toBe('approval_needed');
  });
});

describe('a scope that wants a stronger login', () => {
  const scopes = development.scopes.map((scope) =>
    scope.name === 'grants:read' ? { ...scope, acr: ['mfa', 'hwk'], maxAgeSeconds: 300 } : scope,
  );
  const of = (login?: Request['login'], over: Partial<Request> = {}) =>
    evaluate({ ...development, scopes }, { ...asked(over), ...(login && { login }) });

  test.each<[string, Request['login'], string]>([
    ['none that is known', undefined, 'login_too_weak'],
    ['of another class', { acr: '1', ageSeconds: 0 }, 'login_too_weak'],
    ['too long ago', { acr: 'mfa', ageSeconds: 301 }, 'login_too_old'],
    ['of an unknown time', { acr: 'mfa' }, 'login_too_old'],
    ['as asked', { acr: 'hwk', ageSeconds: 300 }, 'workloads.portal.asks.0'],
  ])('a login %s', (_, login, decidedBy) => {
    const decision = of(login);
    expect(decision.decidedBy).toBe(decidedBy);
    const needed = { acrValues: ['mfa', 'hwk'], maxAgeSeconds: 300 };
    expect(decision.loginNeeded).toEqual(decision.granted.length > 0 ? undefined : needed);
  });

  test('is not asked for where another rule refuses too', () => {
    const decision = of(undefined, { requestedScopes: ['grants:read', 'grants:use'] });
    expect(decision.loginNeeded).toBeUndefined();
  });

  test('a compromised workload gets nothing', () => {
    const workloads = development.workloads.map((one) => ({ ...one, state: 'compromised' as const }));
    expect(evaluate({ ...development, workloads }, asked({})).decidedBy).toBe('workload_compromised');
  });
});

describe('one token for several audiences', () => {
  const both = ['auth-manager', 'crypto-store'];
  const of = (over: Partial<JointRequest> = {}, policy = development) =>
    evaluateTogether(policy, {
      ...asked({}),
      audiences: both,
      requestedScopes: ['grants:read', 'records:write'],
      ...over,
    });

  test('each allows its own scopes, the shortest life counts, and both permissions are named', () => {
    expect(of()).toEqual({
      policyVersion: development.version,
      granted: ['grants:read', 'records:write'],
      refused: [],
      decidedBy: 'workloads.portal.asks.0 workloads.portal.asks.1',
      longestLifeSeconds: 300,
      minter: 'postern',
    });
  });

  test('one audience, also named twice, is decided as ever', () => {
    const request = asked({ requestedScopes: ['grants:read', 'records:write'] });
    const named = { audiences: ['auth-manager', 'auth-manager'], requestedScopes: request.requestedScopes };
    expect(of(named)).toEqual(evaluate(development, request));
    expect(of({ audiences: [] }).denied).toBe('target_unknown');
  });

  test.each<[string, Partial<JointRequest>]>([
    ['target_unknown', { audiences: [...both, 'elsewhere'] }],
    ['no_ask', { subjectClient: 'job', subjectKind: 'grant' }],
    ['no_scope_asked', { requestedScopes: ['grants:read'] }],
    ['scope_unknown', { requestedScopes: ['grants:read', 'records:write', 'audit:read'] }],
    ['scope_not_asked_for', { requestedScopes: ['grants:use', 'records:write'] }],
    ['role_missing', { roles: new Set() }],
    ['above_ceiling', { ceiling: new Set(['grants:read']) }],
  ])('%s: what one of them refuses is refused', (rule, over) => {
    expect(of(over)).toMatchObject({ granted: [], decidedBy: rule, longestLifeSeconds: 0, minter: null });
  });

  test('the login that is asked for satisfies both', () => {
    const scopes = development.scopes.map((scope) => {
      if (scope.name === 'grants:read') return { ...scope, acr: ['mfa', 'hwk'], maxAgeSeconds: 300 };
      return scope.name === 'records:write' ? { ...scope, acr: ['hwk'], maxAgeSeconds: 60 } : scope;
    });
    expect(of({}, { ...development, scopes }).loginNeeded).toEqual({ acrValues: ['hwk'], maxAgeSeconds: 60 });
  });

  test('with one that the identity provider mints for there is none', () => {
    const targets = development.targets.map((one) =>
      one.audience === 'crypto-store' ? { ...one, minter: 'provider' as const } : one,
    );
    expect(of({}, { ...development, targets }).denied).toBe('several_at_provider');
  });
});

describe('the document', () => {
  const broken = (change: (policy: typeof development) => void) => {
    const policy = structuredClone(development);
    change(policy);
    return policyDocument.safeParse(policy).success;
  };
  test('a name that points nowhere, a repeat, an unknown member', () => {
    expect(broken(() => undefined)).toBe(true);
    expect(broken((p) => p.scopes[0] && (p.scopes[0].audience = 'nowhere'))).toBe(false);
    expect(broken((p) => p.scopes[0] && (p.scopes[0].role = 'nobody'))).toBe(false);
    expect(broken((p) => p.workloads[0]?.asks[0]?.scopes.push('records:read'))).toBe(false);
    expect(broken((p) => p.targets.push(...p.targets.slice(0, 1)))).toBe(false);
    expect(broken((p) => Object.assign(p, { extra: true }))).toBe(false);
  });

  test('a workload that shares its client or its SPIFFE id with another: which of the two is meant would hang on their order', () => {
    const [first, second] = development.workloads;
    const change = (over: object) => broken((p) => p.workloads[1] && Object.assign(p.workloads[1], over));
    expect(change({ client: 'of-its-own' })).toBe(true);
    expect(change({ spiffeId: first?.spiffeId })).toBe(false);
    expect(change({ client: first?.name })).toBe(false);
    expect(
      broken((p) =>
        p.workloads
          .filter(({ name }) => name === first?.name || name === second?.name)
          .forEach((one) => (one.client = 'shared')),
      ),
    ).toBe(false);
  });

  test('the JSON Schema in the repository is the one of this code', () => {
    expect(read('../policy.schema.json')).toEqual(JSON.parse(JSON.stringify(policyJsonSchema())));
  });
});
