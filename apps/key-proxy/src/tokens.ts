import { sealerFor } from '@postern/branch-keys';
import { openAssertions, openIntrospection, openIssuer } from '@postern/issuer';
import { openOwnTrust, SERVICE_SECRETS } from '@postern/service';
import { type Setting, type State } from './open-state.ts';

/**
 * Tokens that this service gives to its own accounts (R2) and ends (R14), and what it takes for one: its own and those of others;
 * and what it asserts to clouds (R36).
 */
export async function openTokens(setting: Setting, state: State) {
  const { config, closing, profile, now } = setting;
  const { query } = state.postgres;
  const signing = { query, seal: sealerFor(state.keys, SERVICE_SECRETS), issuer: config.issuer, now };
  const issuer = closing.after(await openIssuer({ ...signing, kinds: ['at+jwt'], profile }));
  const assertions = openAssertions(signing);
  const trusted = openOwnTrust(setting, state, issuer);
  const { living, rules } = trusted;
  const introspection = openIntrospection({ issuer, kind: 'postern-access', profile, revocations: living, now });
  return { ...trusted, issuer, assertions, introspection, useOnce: rules.useOnce };
}
