import { createHash, randomBytes } from 'node:crypto';
import { openBrowser, type Credentials } from './browser.ts';
import { endpointsOf, postForm, type RealmClient, tokenOf } from './discovery.ts';

/** Where the portal of the development realm takes its codes; nothing needs to listen there, the code is read on the way. */
const REDIRECT_URI = 'https://127.0.0.1/callback';

/**
 * A person's token of the realm, as the portal gets it: pushed authorization request (RFC 9126), code with PKCE S256
 * (RFC 7636), and the login form filled in as the person would. For development users, whose passwords are known.
 */
export async function logInAs(
  credentials: Credentials,
  realm: RealmClient & { ca: string; redirectUri?: string },
): Promise<string> {
  const endpoints = await endpointsOf(realm);
  const verifier = randomBytes(32).toString('base64url');
  const redirectUri = realm.redirectUri ?? REDIRECT_URI;
  const pushed = await postForm(realm, endpoints.pushedAuthorization, {
    client_id: realm.clientId,
    response_type: 'code',
    redirect_uri: redirectUri,
    scope: 'openid',
    state: randomBytes(16).toString('base64url'),
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  });
  const start = new URL(endpoints.authorization);
  start.searchParams.set('client_id', realm.clientId);
  start.searchParams.set('request_uri', String(pushed['request_uri']));
  const code = await openBrowser(realm.ca).codeFrom(start, credentials, redirectUri);
  return tokenOf(
    await postForm(realm, endpoints.token, {
      grant_type: 'authorization_code',
      client_id: realm.clientId,
      code,
      redirect_uri: redirectUri,
      code_verifier: verifier,
    }),
  );
}
