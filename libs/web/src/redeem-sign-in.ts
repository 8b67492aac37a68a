import { ProviderFailed, TokenRefused, type Principal, type Provider, type TokenVerifier } from '@postern/oidc';
import { Secret } from '@postern/runtime';
import type { BegunSignIn } from './cookies.ts';

export type RedeemSignIn = {
  provider: () => Promise<Provider>;
  /** Takes the provider's access tokens. */
  verifier: Pick<TokenVerifier, 'inspect'>;
  /** Whose roles count (R3): the access token must name it in `aud`. */
  audience: string;
  callbackUrl: string;
};

/** Why nobody is signed in; a fixed word for the event and the page. */
export type SignInFailure = 'provider_refused' | 'provider_unavailable' | 'token_refused' | 'other_person';

/** What the provider sent the browser back with. */
export type Callback = { state: string; code?: string | undefined; iss?: string | undefined };

/**
 * Redeems the code of a callback: state, `iss` (RFC 9207), PKCE, nonce, the ID token and its signature, and an access token for this
 * audience of the same person and client. The tokens are let go: a session needs what they said, not them.
 */
export async function redeemSignIn(
  { provider: atNeed, verifier, audience, callbackUrl }: RedeemSignIn,
  begun: BegunSignIn,
  said: Callback,
): Promise<Principal | SignInFailure> {
  try {
    const provider = await atNeed();
    const url = new URL(callbackUrl);
    for (const [name, value] of Object.entries(said)) if (value !== undefined) url.searchParams.set(name, value);
    const { state, nonce, verifier: pkce } = begun;
    const tokens = await provider.redeem({ callbackUrl: url, state, nonce, verifier: new Secret(pkce) });
    // Held by nobody yet: it came from the token endpoint itself, for our own code.
    const principal = await verifier.inspect(tokens.accessToken.reveal());
    const { kind, person, clientId, claims } = principal;
    const meant = [claims.aud ?? []].flat().includes(audience);
    if (kind !== 'provider-access' || !meant || clientId !== provider.clientId) return 'token_refused';
    if (person?.issuer !== provider.issuer || person.sub !== tokens.idToken?.sub) return 'other_person';
    return principal;
  } catch (error) {
    if (error instanceof ProviderFailed)
      return error.kind === 'not_sent' || error.kind === 'unknown' ? 'provider_unavailable' : 'provider_refused';
    if (error instanceof TokenRefused) return 'token_refused';
    throw error;
  }
}
