import { logInAs } from '@postern/cli';
import { openHeadlessBrowser } from '@postern/testing/identity-provider';

import { PORTAL_REDIRECT } from '../identity-provider.ts';
import { type State } from '../state.ts';
import { succeed } from './call.ts';
import { type Cast } from './cast.ts';
import { describe, expect, type Play } from './row.ts';

/** Where auth-manager sends alice's browser after the consent; on the portal's list. */
export const RETURN_TO = 'https://127.0.0.1/grants';

/** Rows 1 to 3: alice logs in at the portal, which exchanges her token and has her consent to what the job may do. */
export async function consent(state: State, { portal }: Cast, ca: string, play: Play): Promise<{ grant: string }> {
  const realm = { issuer: state.issuer, clientId: 'portal', postern: portal, ca, redirectUri: PORTAL_REDIRECT };
  const alice = { username: 'alice', password: state.users['alice'] ?? '' };

  const u = await play('portal logs alice in (code, PKCE, PAR)', async () => {
    const value = await logInAs(alice, realm);
    return { value, outcome: `U: ${describe(value)}` };
  });

  const m1 = await play('portal exchanges U', async () => {
    const { accessToken } = await portal.exchange({
      subjectToken: u,
      audience: 'auth-manager',
      scopes: ['grants:read', 'grants:write'],
    });
    return { value: accessToken, outcome: `M1: ${describe(accessToken)}` };
  });

  return play('portal starts the consent, alice consents', async () => {
    const authManager = state.urls['auth-manager'].api;
    const started = await succeed(portal, 'POST', `${authManager}/v1/consents`, {
      token: m1,
      json: {
        scopes: ['records:read', 'records:write', 'secrets:read', 'secrets:write'],
        handle: {
          workload: 'job',
          audiences: ['crypto-store', 'key-proxy'],
          scopes: ['records:read', 'records:write', 'secrets:read', 'secrets:write'],
        },
        returnTo: RETURN_TO,
      },
    });
    const browser = openHeadlessBrowser({ ca });
    try {
      await browser.login(String(started['consent_url']), { ...alice, redirectUri: RETURN_TO });
    } finally {
      await browser.close();
    }
    const status = await succeed(portal, 'GET', `${authManager}/v1/consents/${String(started['id'])}`, { token: m1 });
    expect(status['status'] === 'completed', 'the consent to be completed');
    const grant = String(status['grant_id']);
    return { value: { grant }, outcome: `grant ${grant.slice(0, 8)}…: her offline token, sealed` };
  });
}
