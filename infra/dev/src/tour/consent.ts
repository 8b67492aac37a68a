import { logInAs } from '@postern/cli';
import { openHeadlessBrowser } from '@postern/testing/identity-provider';

import { RETURN_TO } from '../environment.ts';
import { PORTAL_REDIRECT } from '../identity-provider.ts';
import { type State } from '../state.ts';
import { type Cast } from './cast.ts';
import { describe, expect, type Play } from './row.ts';

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
    const scopes = ['records:read', 'records:write', 'secrets:read', 'secrets:write'];
    const handle = { workload: 'job', audiences: ['crypto-store', 'key-proxy'], scopes };
    const started = await portal.grants.startConsent({ scopes, handle, returnTo: RETURN_TO }, { token: m1 });
    const browser = openHeadlessBrowser({ ca });
    try {
      await browser.login(started.consent_url, { ...alice, redirectUri: RETURN_TO });
    } finally {
      await browser.close();
    }
    const { state: became, reason, grant } = await portal.grants.consent(started.id, { token: m1 });
    expect(grant !== null, `a grant from the consent, which is ${became} ${reason ?? ''}`);
    return { value: { grant: grant ?? '' }, outcome: `grant ${grant?.slice(0, 8)}…: her offline token, sealed` };
  });
}
