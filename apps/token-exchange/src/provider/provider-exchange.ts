import { ProviderFailed, type Principal, type Provider } from '@postern/oidc';
import { problem, type Secret } from '@postern/runtime';
import { ExchangeRefused } from '../exchanges/refusal.ts';
import type { AskedOfProvider, ExchangeGrant } from './exchange-grant.ts';

export type ProviderExchange = (subject: Principal, asked: AskedOfProvider) => Promise<Secret>;

export type ProviderRoutes = {
  /** The provider as this service's own client sees it; `undefined` where none is configured. */
  provider: (() => Promise<Provider>) | undefined;
  /** By auth-manager, for grants (R10). */
  exchangeGrant: ExchangeGrant | undefined;
};

/**
 * The exchange at the identity provider for an audience outside Postern (Keycloak's standard exchange). A bound token of
 * another client has none (R10): it is refused here, and nothing is sent.
 * @throws ExchangeRefused; Problem `provider_unavailable`
 */
export const providerExchange =
  ({ provider, exchangeGrant }: ProviderRoutes): ProviderExchange =>
  async (subject, asked) => {
    if (subject.kind === 'grant') {
      if (!exchangeGrant) throw new ExchangeRefused('provider_target');
      return exchangeGrant(subject, asked);
    }
    if (subject.kind !== 'provider-access' || !provider) throw new ExchangeRefused('provider_target');
    if (subject.binding.kind !== 'none') throw new ExchangeRefused('provider_bound');
    try {
      const { audiences, scopes } = asked;
      const at = await provider();
      if (at.issuer !== subject.issuer) throw new ExchangeRefused('provider_target');
      return (await at.exchange(subject.token, { audiences: [...audiences], scopes })).accessToken;
    } catch (error) {
      throw refusalOf(error);
    }
  };

/**
 * Keycloak's answers in the words of RFC 8693. `invalid_client` with 400 is an audience that is no client there, with 401 it is
 * this service's own credentials: nothing that the caller could mend.
 */
export function refusalOf(error: unknown): unknown {
  if (!(error instanceof ProviderFailed)) return error;
  const { kind, error: code, status } = error;
  if (kind !== 'refused' || status === 401)
    return problem('provider_unavailable', { retryAfterSeconds: 5, cause: error });
  switch (code) {
    case 'invalid_scope':
      return new ExchangeRefused('provider_scope');
    case 'access_denied':
      return new ExchangeRefused('provider_denied');
    case 'invalid_target':
    case 'invalid_client':
    case 'invalid_request':
      return new ExchangeRefused('provider_audience');
    default:
      return problem('provider_unavailable', { retryAfterSeconds: 5, cause: error });
  }
}
