import { openIntrospection } from '@postern/issuer';
import { createTokenVerifier } from '@postern/oidc';
import { openOwnTrust } from '@postern/service';
import type { Setting, State } from './open-state.ts';

/**
 * Whose tokens are taken: `subjects` may be exchanged; the routes of this service take by `verifier` only what it minted for itself.
 * With them what was revoked, here and at the trusted issuers.
 */
export function openVerifiers(setting: Setting, state: State) {
  const { closing, profile, now } = setting;
  const { issuer, policies } = state;
  const trusted = openOwnTrust(setting, state, issuer);
  const { living, rules } = trusted;
  const introspection = openIntrospection({ issuer, kind: 'postern-access', profile, revocations: living, now });
  const subjects = closing.after(
    createTokenVerifier({
      ...rules,
      kinds: ['provider-access', 'id-token', 'grant', 'postern-access'],
      bearerSubject: (azp, workload) =>
        policies
          .held()
          .document.workloads.find(({ name }) => name === workload)
          ?.bearerSubjects.includes(azp) === true,
    }),
  );
  return { ...trusted, introspection, subjects, useOnce: rules.useOnce };
}
