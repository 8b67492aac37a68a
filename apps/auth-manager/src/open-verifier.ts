import { openIntrospection } from '@postern/issuer';
import { openOwnTrust } from '@postern/service';
import type { Setting, State } from './open-state.ts';
import { introspectTokens } from './provider/introspect-tokens.ts';
import type { ProviderCalls } from './provider/provider-calls.ts';

/** Whose tokens count, and what is said of a token to whoever asks: of its own, and of the operator's provider. */
export function openVerifier(setting: Setting, state: State, operator: ProviderCalls) {
  const { config, profile, now } = setting;
  const trusted = openOwnTrust(setting, state, state.issuer);
  const { sequence, living } = trusted;
  const rule = config.trust.issuers.find(({ issuer: listed }) => listed === config.provider.issuer)?.tenant;
  const introspection = introspectTokens({
    own: openIntrospection({ issuer: state.issuer, kind: 'grant', profile, revocations: living, now }),
    sequence,
    provider: operator,
    tenant: rule && 'fixed' in rule ? rule.fixed : undefined,
    now,
  });
  return { ...trusted, introspection };
}
