import { developmentPassword, type HeadlessBrowser, openHeadlessBrowser } from '@postern/testing';
import { openProvider, type ProviderTokens } from '@postern/oidc';
import { Agent } from 'undici';
import type { Caller, Reply } from './caller.ts';
import type { Replica, World } from './world.ts';

export const SCOPES = ['records:read', 'records:write'];
export const HANDLE = { workload: 'job', audiences: ['crypto-store'], scopes: SCOPES };

type Asked = { username?: string; scopes?: string[]; handle?: object; return_to?: string; purpose?: string };

/** The portal starts a consent for a person. */
export async function startConsent(portal: Caller, { api }: Replica, asked: Asked = {}): Promise<Reply> {
  const { username = 'alice', scopes = SCOPES, handle = HANDLE, return_to, purpose } = asked;
  const token = await portal.tokenFor(username, ['grants:write']);
  return portal.send(`${api}/v1/consents`, { method: 'POST', token, body: { scopes, handle, return_to, purpose } });
}

export type Visit = { browser: HeadlessBrowser; callback: URL };
type Visitor = { username?: string; consent?: boolean; browser?: HeadlessBrowser };

/** A person opens a consent link, logs in at the provider and answers; the callback is not yet loaded. */
export async function visit(world: World, link: string, visitor: Visitor = {}): Promise<Visit> {
  const { username = 'alice', consent = true, browser = openHeadlessBrowser({ ca: world.ca }) } = visitor;
  const password = developmentPassword(username);
  const callback = await browser.login(link, { username, password, consent, redirectUri: world.callbackUrl });
  return { browser, callback };
}

/** Alice logged in at the portal: her browser, in which what follows is of the same login, and the portal's tokens. */
export async function portalSession(world: World): Promise<{ browser: HeadlessBrowser; tokens: ProviderTokens }> {
  const { cert, key } = await world.authority.issue('portal');
  const dispatcher = new Agent({ connect: { cert, key, ca: world.ca } });
  const authentication = { method: 'tls_client_auth' as const };
  const { issuer } = world.provider();
  const provider = await openProvider({ issuer, clientId: 'portal', authentication, dispatcher });
  const browser = openHeadlessBrowser({ ca: world.ca });
  const redirectUri = 'https://127.0.0.1/callback';
  const { url, state, nonce, verifier } = await provider.startAuthorization({ redirectUri, scopes: ['openid'] });
  const person = { username: 'alice', password: developmentPassword('alice'), redirectUri };
  const callbackUrl = await browser.login(url, person);
  const tokens = await provider.redeem({ callbackUrl, state, nonce, verifier });
  await dispatcher.close();
  return { browser, tokens };
}

/** The browser alone. */
export const portalLogin = async (world: World): Promise<HeadlessBrowser> => (await portalSession(world)).browser;

/** The whole of a consent, to the id of its grant. */
export async function consented(world: World, portal: Caller, replica: Replica, asked: Asked = {}): Promise<string> {
  const { body } = await startConsent(portal, replica, asked);
  const { browser, callback } = await visit(world, String(body['consent_url']), {
    username: asked.username ?? 'alice',
  });
  await browser.open(callback.href, 'https://portal.example.com');
  await browser.close();
  const token = await portal.tokenFor(asked.username ?? 'alice', ['grants:write']);
  const status = await portal.send(`${replica.api}/v1/consents/${String(body['id'])}`, { token });
  if (status.body['state'] !== 'completed') throw new Error(`the consent ended as ${JSON.stringify(status.body)}`);
  return String(status.body['grant']);
}
