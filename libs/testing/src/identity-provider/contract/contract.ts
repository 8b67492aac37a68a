import { afterAll, beforeAll, describe } from '@jest/globals';

import { bindingCases } from './binding.cases.ts';
import { exchangeCases } from './exchange.cases.ts';
import { introspectionCases } from './introspection.cases.ts';
import { lockoutCases } from './lockout.cases.ts';
import { loginCases } from './login.cases.ts';
import { logoutCases } from './logout.cases.ts';
import { refreshCases } from './refresh.cases.ts';
import { startSubject, type StartProvider, type Subject } from './subject.ts';

export { openRelyingParty, type RelyingParty } from './relying-party.ts';
export { contractRealm, createKeys } from './world.ts';
export type { ProviderUnderTest, StartProvider } from './subject.ts';

const START_TIMEOUT_MS = 300_000;

/**
 * What Postern relies on in an identity provider. The same cases run on the development provider and on the real
 * Keycloak, so that neither can drift from the other.
 */
export function identityProviderContract(name: string, start: StartProvider): void {
  describe(`${name} as an identity provider`, () => {
    let running: Subject | undefined;
    const subject = () => {
      if (!running) throw new Error('the provider is not running');
      return running;
    };
    beforeAll(async () => {
      running = await startSubject(start);
    }, START_TIMEOUT_MS);
    afterAll(() => running?.close(), START_TIMEOUT_MS);

    describe('logging in', () => loginCases(subject));
    describe('refreshing', () => refreshCases(subject));
    describe('proving oneself', () => bindingCases(subject));
    describe('introspection', () => introspectionCases(subject));
    describe('token exchange', () => exchangeCases(subject));
    describe('logging out', () => logoutCases(subject));
    describe('being locked out', () => lockoutCases(subject));
  });
}
