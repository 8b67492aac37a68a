/**
 * Where the person's browser ends the session at the provider itself (OpenID Connect RP-Initiated Logout 1.0, 2). Without
 * an ID token as a hint, which is not kept here, the provider asks the person first.
 */
export function endSessionLink(
  endpoint: string,
  { clientId, returnTo }: { clientId: string; returnTo?: string | undefined },
): string {
  const url = new URL(endpoint);
  url.searchParams.set('client_id', clientId);
  if (returnTo !== undefined) url.searchParams.set('post_logout_redirect_uri', returnTo);
  return url.href;
}
