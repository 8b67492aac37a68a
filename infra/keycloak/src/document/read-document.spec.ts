import { readFileSync } from 'node:fs';

import { profileNames, profiles } from '@postern/profile';
import { describe, expect, test } from '@jest/globals';

import { compileRealm } from '../realm/compile.ts';
import { stableJson } from '../realm/stable-json.ts';
import { modelsOf } from './model-of.ts';
import { DocumentRefused } from './problem.ts';
import { readDocument } from './read-document.ts';
import { documentJsonSchema } from './schema.ts';

const now = new Date('2027-01-15T12:00:00Z');
const example = (name: string) => readFileSync(new URL(`../../examples/${name}`, import.meta.url), 'utf8');
const read = (text: string, beside: Record<string, string> = {}) =>
  readDocument(text, { file: 'postern.toml', now, beside: (name) => beside[name] });
const compiled = (text: string, beside?: Record<string, string>) => modelsOf(read(text, beside)).map(compileRealm);
const refused = (text: string) => {
  try {
    read(text);
  } catch (error) {
    if (error instanceof DocumentRefused) return error.message;
    throw error;
  }
  throw new Error('the document was accepted');
};

const small = (more = '', profile = 'fedramp-moderate', realm = '') => `[app]
name = "myapp"
profile = "${profile}"

[keycloak]
hostname = "auth.myapp.com"

[keycloak.realm.myapp]
${realm}
${more}
`;
const client = (more: string) => `
[keycloak.client.web]
redirect_uris = ["https://myapp.com/callback"]
${more}
`;

describe("the design's own documents", () => {
  test('its first example, under 50 lines, is a realm with the login of its client', () => {
    const text = example('first.toml');
    expect(text.split('\n').length).toBeLessThan(50);
    const [realm] = compiled(text);
    expect(realm?.clients.map(({ clientId }) => clientId)).toEqual(['myapp-web']);
  });

  test('its appendix A is used as it stands; where it clashes with FAPI 2.0 an assessor sees a finding', () => {
    const { findings, settings } = read(example('appendix-a.toml'));
    expect(findings.map(({ id, control }) => [id, control])).toEqual([
      ['public-client-under-fapi', 'IA-9'],
      ['secret-not-used', 'IA-5'],
    ]);
    expect(settings).toContainEqual({
      key: 'keycloak.realm.myapp.session_idle_timeout',
      value: 5,
      origin: { from: 'override', line: 30 },
      control: 'AC-11',
    });
    expect(settings).toContainEqual({
      key: 'keycloak.realm.myapp.session_max_lifespan',
      value: 120,
      origin: { from: 'profile', profile: 'fedramp-high' },
      control: 'AC-12',
    });
  });

  test('section 5.2: the realm that its design shows for moderate is what comes out', () => {
    const [realm] = compiled(small(client('require_mtls = true')));
    expect(realm).toMatchObject({
      sslRequired: 'all',
      registrationAllowed: false,
      bruteForceProtected: true,
      failureFactor: 3,
      permanentLockout: false,
      maxFailureWaitSeconds: 1800,
      accessTokenLifespan: 600,
      ssoSessionIdleTimeout: 900,
      ssoSessionMaxLifespan: 14_400,
      otpPolicyType: 'totp',
    });
    for (const rule of [
      'length(12)',
      'digits(1)',
      'upperCase(1)',
      'specialChars(1)',
      'notUsername(undefined)',
      'passwordHistory(24)',
    ])
      expect(realm?.passwordPolicy.split(' and ')).toContain(rule);
    expect(realm?.clients[0]).toMatchObject({
      publicClient: false,
      attributes: {
        'tls.client.certificate.bound.access.tokens': 'true',
        'require.pushed.authorization.requests': 'true',
        'pkce.code.challenge.method': 'S256',
      },
    });
  });
});

describe.each(profileNames)('the profile %s', (name) => {
  const profile = profiles[name];
  const [realm] = compiled(small('', name));

  test("its figures are section 3.3's, in seconds", () => {
    expect(realm).toMatchObject({
      ssoSessionIdleTimeout: profile.sessionIdleMinutes * 60,
      ssoSessionMaxLifespan: profile.sessionMaxMinutes * 60,
      accessTokenLifespan: profile.accessTokenMinutes * 60,
      failureFactor: profile.lockoutAttempts,
      maxFailureWaitSeconds: profile.lockoutMinutes * 60,
      revokeRefreshToken: !profile.fapi,
    });
    expect(realm?.passwordPolicy).toContain(`length(${profile.passwordMinLength}) `);
  });

  test('whoever must have a second factor enrols one before any code: everybody in high, administrators elsewhere', () => {
    const enrolments = realm?.authenticationFlows.filter(({ alias }) => alias.startsWith('postern enrolment'));
    expect(enrolments?.map(({ alias }) => alias)).toEqual([
      profile.requireMfa ? 'postern enrolment' : 'postern enrolment of realm-management.realm-admin',
    ]);
    expect(enrolments?.[0]?.authenticationExecutions.at(-1)).toMatchObject({
      authenticator: 'auth-otp-form',
      requirement: 'REQUIRED',
    });
  });
});

describe('what is weaker than the profile', () => {
  const weak = '\n[keycloak.realm.myapp.overrides]\nsession_idle_timeout = 60\n';
  const waiver = (expires: string, key = 'keycloak.realm.myapp.overrides.session_idle_timeout') => `
[[waiver]]
key = "${key}"
reason = "Kiosks without a keyboard; the room is guarded"
approved_by = "J. Doe, ISSO"
expires = ${expires}
`;

  test('is refused, with what is allowed and the control', () => {
    expect(refused(small(weak))).toBe(
      'postern.toml:12:1 keycloak.realm.myapp.overrides.session_idle_timeout: is weaker than fedramp-moderate, and no waiver allows it (allowed: at most 15 minutes) [AC-11]',
    );
  });

  test('is used under a written waiver until the end of its day, and then shown as a finding', () => {
    expect(read(small(weak + waiver('2027-01-15'))).findings).toEqual([
      {
        id: 'weaker-than-profile',
        key: 'keycloak.realm.myapp.overrides.session_idle_timeout',
        line: 12,
        severity: 'high',
        control: 'AC-11',
        message: 'weaker than fedramp-moderate asks: at most 15 minutes',
        waiver: {
          reason: 'Kiosks without a keyboard; the room is guarded',
          approvedBy: 'J. Doe, ISSO',
          expires: '2027-01-15',
        },
      },
    ]);
  });

  test.each([
    ['that has expired', weak + waiver('2027-01-14'), 'has expired'],
    ['for ever', weak + waiver('2099-01-01'), 'is too far away'],
    ['for a day that is none', weak + waiver('"2027-02-31"'), 'is not a day of the calendar'],
    ['of what is not weaker', waiver('2027-02-01'), 'waives nothing'],
  ])('a waiver %s is a mistake', (_what, more, said) => {
    expect(refused(small(more))).toContain(said);
  });

  test.each([
    ['enable_fapi = false', 'SC-23'],
    ['require_pkce = false', 'SC-23'],
    ['require_par = false', 'SC-23'],
  ])('a client with %s needs one too', (line, control) => {
    expect(refused(small(client(line)))).toMatch(new RegExp(`is weaker than fedramp-moderate.*\\[${control}\\]`));
  });

  test('a stricter override is simply used', () => {
    const [realm] = compiled(small('[keycloak.realm.myapp.overrides]\nsession_idle_timeout = 5\nrequire_mfa = true\n'));
    expect(realm).toMatchObject({ ssoSessionIdleTimeout: 300 });
    expect(read(small('[keycloak.realm.myapp.overrides]\nsession_idle_timeout = 5\n')).findings).toEqual([]);
  });
});

describe('what no document may ask for', () => {
  test.each([
    [
      'R9: offline tokens of a certificate-bound client',
      client('certificate_bound_tokens = true\noffline_access = true'),
      'R9',
    ],
    ['a secret under FAPI 2.0', client('authentication = "secret"'), 'FAPI 2.0 accepts no client secret'],
    ['codes by SMS', '[keycloak.realm.myapp.overrides]\nmfa_methods = ["totp", "sms"]', '800-63B'],
    ['a wildcard redirect', client('').replace('/callback', '/*'), 'an exact https address without *'],
    ['a secret in the text', '[secrets]\nkeycloak_admin_password = "hunter2"', 'never the secret itself'],
    ["a secret of nobody's", '[secrets]\nother_client_secret = "age:x.age"', 'belongs to no client'],
    ["the administrators' realm", '[keycloak.realm.master]', "administrators' own realm"],
    ['a client of no realm', client('realm = "other"'), 'is no realm of this document (allowed: myapp)'],
    ['a scope that nothing defines', client('default_scopes = ["nobody:knows"]'), 'unknown scope nobody:knows'],
    ['a cluster of one', '[keycloak.clustering]\nenable = true', 'has no cluster'],
    ['a key of no table', 'sesion_idle = 5', 'is not a key of this table'],
    ['a name that JavaScript would follow', '[keycloak.realm.__proto__]\nname = "x1"', 'is not a name'],
    ['an event that Keycloak does not know', '[keycloak.observability]\naudit_events = ["LOGON"]', 'AU-2'],
  ])('%s', (_what, more, said) => {
    const message = refused(small(more));
    expect(message).toContain(said);
    expect(message).not.toContain('hunter2');
    expect(message).toMatch(/^postern\.toml:\d+:\d+ /);
  });

  test('several mistakes are named in one run, in the order of their lines', () => {
    const lines = refused(`[app]\nname = "X"\nprofile = "high"\n[keycloak]\nport = 0\n`).split('\n');
    expect(lines.map((line) => line.split(' ')[1])).toEqual(['app.name:', 'app.profile:', 'keycloak.port:']);
    expect(lines[1]).toContain('(allowed: fedramp-low, fedramp-moderate, fedramp-high) [CM-6]');
    expect(lines[2]).toContain('(allowed: a whole number from 1 to 65535)');
  });
});

describe('from the policy document', () => {
  const policy = readFileSync(new URL('../../../dev/policy.json', import.meta.url), 'utf8');
  const text = small(
    `[keycloak.client.portal]\nredirect_uris = ["https://portal.myapp.com/callback"]\n[keycloak.client.job]\nkind = "worker"\n`,
    'fedramp-moderate',
    'policy = "policy.json"\nlogout_url = "https://auth-manager.myapp.com/v1/backchannel-logout"',
  );

  test('R15: a workload may obtain the audience token-exchange, with the roles, and is logged out of its grants', () => {
    const [realm] = compiled(text, { 'policy.json': policy });
    const clientOf = (id: string) => realm?.clients.find(({ clientId }) => clientId === id);
    for (const id of ['portal', 'job']) {
      expect(clientOf(id)?.defaultClientScopes).toContain('token-exchange');
      expect(clientOf(id)?.attributes['backchannel.logout.url']).toBe(
        'https://auth-manager.myapp.com/v1/backchannel-logout',
      );
    }
    expect(clientOf('token-exchange')).toMatchObject({ bearerOnly: true, standardFlowEnabled: false });
    expect(realm?.roles.client['token-exchange']?.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['admin', 'auditor', 'user']),
    );
  });

  test('a policy that is not there, or is none, is named at its key', () => {
    expect(refused(text)).toContain('keycloak.realm.myapp.policy: names a file that is not there');
    expect(() => read(text, { 'policy.json': '{}' })).toThrow(/is not a policy document/);
  });
});

test('the same document gives the same realm, byte for byte, whatever the order of its tables', () => {
  const a = client('') + '\n[keycloak.client.api]\nkind = "worker"\n';
  const b = '\n[keycloak.client.api]\nkind = "worker"\n' + client('');
  expect(stableJson(compiled(small(a)))).toBe(stableJson(compiled(small(b))));
});

test('R7, R20: at+jwt everywhere, no rotation where FAPI 2.0 holds', () => {
  const [realm] = compiled(small(client('')));
  for (const { attributes } of realm?.clients ?? [])
    expect(attributes['access.token.header.type.rfc9068']).toBe('true');
  expect(realm).toMatchObject({ revokeRefreshToken: false });
});

test('the published JSON Schema is the schema', () => {
  const published = JSON.parse(readFileSync(new URL('../../postern.schema.json', import.meta.url), 'utf8')) as unknown;
  expect(published).toEqual(JSON.parse(JSON.stringify(documentJsonSchema())));
});
