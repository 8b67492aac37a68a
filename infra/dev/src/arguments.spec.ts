import { expect, test } from '@jest/globals';

import { parseArguments, usage } from './arguments.ts';

test('nothing said: the development provider, stays up, in the default home', () => {
  expect(parseArguments([], 'start')).toEqual({ once: false, idp: 'development' });
});

test('a second `--`, as npm hands it through, separates nothing', () => {
  const words = ['--idp', 'keycloak', '--', '--once', '--home', 'here'];
  expect(parseArguments(words, 'start')).toEqual({ once: true, idp: 'keycloak', home: 'here' });
});

test('the development command takes the service to restart on each save', () => {
  expect(parseArguments(['crypto-store'], 'dev')).toMatchObject({ watch: 'crypto-store' });
});

test.each([
  ['an unknown option', ['--twice'], 'start'],
  ['an option without its value', ['--home'], 'start'],
  ['an unknown provider', ['--idp', 'ldap'], 'start'],
  ['a service where none is expected', ['crypto-store'], 'start'],
  ['no service', [], 'dev'],
  ['an unknown service', ['postgres'], 'dev'],
  ['two services', ['crypto-store', 'audit-sink'], 'dev'],
] as const)('%s is refused, with the usage', (_, words, command) => {
  expect(() => parseArguments([...words], command)).toThrow(usage);
});
