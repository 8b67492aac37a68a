/** What a provider's redirect says, once its form is known (RFC 6749 4.1.2, RFC 9207). */
export type Callback =
  | { kind: 'code'; code: string }
  | { kind: 'denied' }
  | { kind: 'provider_error'; error: ProviderError }
  | { kind: 'refused'; reason: 'wrong_issuer' | 'malformed' | 'unsigned_response' };

// The codes a provider may send to a redirect (RFC 6749 4.1.2.1, OpenID Connect Core 3.1.2.6). Its texts are not kept.
const providerErrors = [
  'invalid_request',
  'unauthorized_client',
  'unsupported_response_type',
  'invalid_scope',
  'server_error',
  'temporarily_unavailable',
  'interaction_required',
  'login_required',
  'consent_required',
] as const;
export type ProviderError = (typeof providerErrors)[number] | 'other';

export type CallbackQuery = {
  code?: string | undefined;
  iss?: string | undefined;
  error?: string | undefined;
};

const isProviderError = (error: string): error is (typeof providerErrors)[number] =>
  (providerErrors as readonly string[]).includes(error);

/**
 * Reads a callback. `iss` must be the provider's issuer whenever it is there, and must be there when the provider's
 * metadata promises it (RFC 9207 section 2.4): that is checked before anything else is believed, errors too.
 */
export function readCallback(query: CallbackQuery, provider: { issuer: string; sendsIssuer: boolean }): Callback {
  const { code, iss, error } = query;
  const wrongIssuer = iss === undefined ? provider.sendsIssuer : iss !== provider.issuer;
  if (wrongIssuer) return { kind: 'refused', reason: 'wrong_issuer' };
  if ((code === undefined) === (error === undefined)) return { kind: 'refused', reason: 'malformed' };
  if (code !== undefined) return { kind: 'code', code };
  if (error === 'access_denied') return { kind: 'denied' };
  return { kind: 'provider_error', error: error && isProviderError(error) ? error : 'other' };
}
