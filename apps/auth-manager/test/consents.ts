import { developmentPassword, type HeadlessBrowser, openHeadlessBrowser } from '@postern/testing';
import type { Caller, Reply } from './caller.ts';
import type { Replica, World } from './world.ts';

export const SCOPES = ['records:read', 'records:write'];
export const HANDLE = { workload: 'job', audiences: ['crypto-store'], scopes: SCOPES };

type Asked = { username?: string; scopes?: string[]; handle?: object; return_to?: string };

/** The portal starts a consent for a person. */
export async function startConsent(portal: Caller, { api }: Replica, asked: Asked = {}): Promise<Reply> {
  const { username = 'alice', scopes = SCOPES, handle = HANDLE, return_to } = asked;
  const token = await portal.tokenFor(username, ['grants:write']);
  return portal.send(`${api}/v1/consents`, { method: 'POST', token, body: { scopes, handle, return_to } });
}

export type Visit = { browser: HeadlessBrowser; callback: URL };

/** A person opens a consent link, logs in at the provider and answers; the callback is not yet loaded. */
export async function visit(world: World, link: string, username = 'alice', consent = true): Promise<Visit> {
  const browser = openHeadlessBrowser({ ca: world.ca });
  const password = developmentPassword(username);
  const callback = await browser.login(link, { username, password, consent, redirectUri: world.callbackUrl });
  return { browser, callback };
}

/** The whole of a consent, to the id of its grant. */
export async function consented(world: World, portal: Caller, replica: Replica, asked: Asked = {}): Promise<string> {
  const { body } = await startConsent(portal, replica, asked);
  const { browser, callback } = await visit(world, String(body['consent_url']), asked.username);
  await browser.open(callback.href, 'https://portal.example.com');
  await browser.close();
  const token = await portal.tokenFor(asked.username ?? 'alice', ['grants:write']);
  const status = await portal.send(`${replica.api}/v1/consents/${String(body['id'])}`, { token });
  if (status.body['state'] !== 'completed') throw new Error(`the consent ended as ${JSON.stringify(status.body)}`);
  return String(status.body['grant']);
}
