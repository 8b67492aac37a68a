import { type errors, type KoaContextWithOIDC } from 'oidc-provider';

import { OAuthRefusal } from './refusal.ts';

/** Rewrites oidc-provider's answer to a client that could not prove itself into Keycloak's. */
export function describeClientFailure(ctx: KoaContextWithOIDC, failure: errors.OIDCProviderError): void {
  if (failure instanceof OAuthRefusal) return;
  const answer = (status: number, error: string, description: string) => {
    ctx.status = status;
    ctx.body = { error, error_description: description };
  };
  const params = ctx.oidc.params ?? {};
  if (failure.error === 'invalid_client') {
    if (params['client_assertion'] === undefined) {
      const basic = params['client_secret'] !== undefined || ctx.headers.authorization !== undefined;
      const other = String(params['grant_type']).includes(':introspection');
      if (other) return answer(401, 'invalid_client', 'Client authentication failed.');
      return answer(
        401,
        basic ? 'unauthorized_client' : 'invalid_client',
        'Invalid client or Invalid client credentials',
      );
    }
    const detail = failure.error_detail ?? '';
    if (detail.includes('only be used once')) return answer(400, 'invalid_client', 'Token reuse detected');
    if (detail.includes('alg mismatch')) return answer(400, 'invalid_client', 'Invalid signature algorithm');
    return answer(400, 'invalid_client', 'Client authentication with signed JWT failed');
  }
  if (failure.error === 'invalid_request' && failure.error_description?.includes('grant type is not allowed')) {
    answer(400, 'unauthorized_client', 'Client not allowed for this grant');
  }
}
