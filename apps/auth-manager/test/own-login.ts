import { openProvider, type ProviderTokens } from '@postern/oidc';
import { developmentPassword, openHeadlessBrowser } from '@postern/testing';
import { generateKeyPair } from 'jose';
import { Agent } from 'undici';
import type { World } from './world.ts';

/** A person's login at the provider as our own client, outside of any consent of ours: with the refresh token it gives. */
export async function ownLogin(
  world: World,
  { username = 'alice', scopes = ['openid', 'offline_access'], bound = true } = {},
): Promise<ProviderTokens> {
  const dispatcher = new Agent({ connect: { ca: world.ca } });
  const dpop = await generateKeyPair('ES256', { extractable: true });
  const provider = await openProvider({
    issuer: world.provider().issuer,
    clientId: 'auth-manager',
    authentication: { method: 'private_key_jwt', key: world.clientKey },
    ...(bound && { dpop }),
    dispatcher,
  });
  const browser = openHeadlessBrowser({ ca: world.ca });
  const redirectUri = world.callbackUrl;
  const parameters = { prompt: 'consent' };
  const { url, state, nonce, verifier } = await provider.startAuthorization({ redirectUri, scopes, parameters });
  const password = developmentPassword(username);
  const callbackUrl = await browser.login(url, { username, password, consent: true, redirectUri });
  const tokens = await provider.redeem({ callbackUrl, state, nonce, verifier });
  await browser.close();
  await dispatcher.close();
  return tokens;
}
