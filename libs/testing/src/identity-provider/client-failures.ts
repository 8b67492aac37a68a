import { type errors, type KoaContextWithOIDC } from 'oidc-provider';

import { OAuthRefusal } from './refusal.ts';

type Answer = readonly [status: number, error: string, description: string];

/** Keycloak's answer to a client that could not prove itself. */
function unprovenClient(ctx: KoaContextWithOIDC, detail: string): Answer {
  const params = ctx.oidc.params ?? {};
  if (params['client_assertion'] !== undefined) {
    if (detail.includes('only be used once')) return [400, 'invalid_client', 'Token reuse detected'];
    if (detail.includes('alg mismatch')) return [400, 'invalid_client', 'Invalid signature algorithm'];
    if (detail.includes('audience')) return [400, 'invalid_client', 'Invalid token audience'];
    return [400, 'invalid_client', 'Client authentication with signed JWT failed'];
  }
  if (ctx.oidc.route === 'pushed_authorization_request') return [401, 'invalid_request', 'Authentication failed.'];
  if (String(params['grant_type']).includes(':introspection')) {
    return [401, 'invalid_client', 'Client authentication failed.'];
  }
  const wrongSecret = detail.includes('secret');
  return [401, wrongSecret ? 'unauthorized_client' : 'invalid_client', 'Invalid client or Invalid client credentials'];
}

/** What oidc-provider refuses before a grant of ours is asked, in Keycloak's words. */
function otherRefusal(ctx: KoaContextWithOIDC, description: string): Answer | undefined {
  const grantType = ctx.oidc.params?.['grant_type'];
  if (description.includes('grant type is not allowed')) {
    return grantType === 'client_credentials'
      ? [401, 'unauthorized_client', 'Client not enabled to retrieve service account']
      : [400, 'invalid_grant', 'Code not valid'];
  }
  if (description.includes("'grant_type'")) return [400, 'invalid_request', 'Missing form parameter: grant_type'];
  if (description.includes('PKCE')) return [400, 'invalid_request', 'Missing parameter: code_challenge_method'];
  if (description.includes('redirect_uri did not match'))
    return [400, 'invalid_request', 'Invalid parameter: redirect_uri'];
  return undefined;
}

/** Rewrites oidc-provider's answer into Keycloak's; refusals of our own have its words already. */
export function describeClientFailure(ctx: KoaContextWithOIDC, failure: errors.OIDCProviderError): void {
  if (failure instanceof OAuthRefusal) return;
  const answer =
    failure.error === 'invalid_client'
      ? unprovenClient(ctx, failure.error_detail ?? '')
      : otherRefusal(ctx, failure.error_description ?? '');
  if (!answer) return;
  const [status, error, description] = answer;
  ctx.status = status;
  ctx.body = { error, error_description: description };
}
