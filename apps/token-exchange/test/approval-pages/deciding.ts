import { expect, test } from '@jest/globals';
import { openProvider } from '@postern/oidc';
import { developmentPassword, login as headlessLogin, stableId } from '@postern/testing';
import { asked, browser, ca, idOf, origin, realm, signedIn, stateOf, world } from './scene.ts';

/** What people see of a request, and decide. */
export function deciding(): void {
  test('without a script, somebody signs in, sees what is asked, by whom, for what and why, and approves', async () => {
    const id = idOf(
      await asked('secrets:read', { justification: 'Nightly report of <b>open</b> invoices\n"with" quotes' }),
    );
    const page = await signedIn('admin-ada');
    expect(new URL(page.url()).pathname).toBe('/approvals');
    // Who reads has a name from their login; of a grant's person only the id is known, and is not shown in full here.
    expect(await page.innerText('.who')).toContain('Signed in as admin-ada');
    const inList = await page.innerText(`a[href="/approvals/${id}"]`);
    expect(inList).toContain(`For ${stableId('postern/alice').slice(0, 8)}…`);
    await browser.screenshot(page, 'approvals-list');
    await page.click(`a[href="/approvals/${id}"]`);
    const text = await page.innerText('main');
    for (const part of [
      'job',
      'key-proxy',
      stableId('postern/alice'),
      'secrets:read',
      'Nightly report of <b>open</b>',
    ]) {
      expect(text).toContain(part);
    }
    expect(await page.locator('main b').count()).toBe(0);
    await browser.screenshot(page, 'approvals-request');
    await page.fill('textarea', 'Agreed with the team');
    await page.click('text=Approve what is ticked');
    expect(await page.innerText('main')).toContain('Approved');
    expect(await stateOf(id)).toEqual({ state: 'approved', approved_scopes: ['secrets:read'] });
    await browser.screenshot(page, 'approvals-approved');
  });

  test('whom the realm gives a name is shown by it, until somebody has decided', async () => {
    const portal = await world.caller('portal');
    const provider = await openProvider({
      issuer: realm.issuer,
      clientId: 'portal',
      authentication: { method: 'tls_client_auth' },
      dispatcher: portal.agent,
    });
    const redirectUri = 'https://127.0.0.1:1/callback';
    const begun = await provider.startAuthorization({ redirectUri, scopes: ['openid'] });
    const person = { username: 'alice', password: developmentPassword('alice'), redirectUri, ca };
    const tokens = await provider.redeem({ ...begun, callbackUrl: await headlessLogin(begun.url, person) });
    const id = idOf(await portal.exchange(tokens.accessToken.reveal(), 'key-proxy', 'secrets:read'));
    const page = await signedIn('admin-ada');
    await page.goto(`${origin}/approvals`);
    expect(await page.innerText(`a[href="/approvals/${id}"]`)).toContain('For alice, by portal');
    await page.goto(`${origin}/approvals/${id}`);
    expect(await page.innerText('main')).toContain(`alice\n${stableId('postern/alice')} of ${realm.issuer}`);
    await browser.screenshot(page, 'approvals-request-named');
    await page.click('text="Deny"');
    const named = await world.query('select 1 from approvals where person_name is not null and state <> $1', [
      'pending',
    ]);
    expect(named).toEqual([]);
    expect(await page.innerText('main')).not.toContain(`alice\n`);
    const events = await world.query<{ canonical: Buffer }>('select canonical from audit_outbox');
    expect(events.map(({ canonical }) => canonical.toString()).join()).not.toContain('"alice"');
  });

  test('what is unticked is not approved; denied is denied', async () => {
    const [narrow, no] = [idOf(await asked('secrets:read secrets:write')), idOf(await asked('secrets:write'))];
    const page = await signedIn('admin-ada');
    await page.goto(`${origin}/approvals/${no}`);
    await page.click('text="Deny"');
    expect((await stateOf(no))?.state).toBe('denied');
    await page.goto(`${origin}/approvals/${narrow}`);
    await page.uncheck('input[value="secrets:read"]');
    await page.uncheck('input[value="secrets:write"]');
    await page.click('text=Approve what is ticked');
    expect(await page.innerText('main')).toContain('Tick at least one');
    await page.goto(`${origin}/approvals/${narrow}`);
    await page.uncheck('input[value="secrets:write"]');
    await page.click('text=Approve what is ticked');
    const waits = await page.innerText('main');
    expect(waits).toContain('You have decided about this already');
    expect((await stateOf(narrow))?.state).toBe('pending');
    await browser.screenshot(page, 'approvals-second-person');
    const other = await signedIn('carol');
    await other.goto(`${origin}/approvals/${narrow}`);
    await other.click('text=Approve what is ticked');
    expect(await stateOf(narrow)).toEqual({ state: 'approved', approved_scopes: ['secrets:read'] });
  });

  test('nobody decides about their own, without the role, or about what is no longer open', async () => {
    const own = idOf(await asked('secrets:read', {}, 'carol'));
    const carol = await signedIn('carol');
    await carol.goto(`${origin}/approvals/${own}`);
    expect(await carol.innerText('main')).toContain('Nobody approves for themselves');
    expect(await carol.locator('textarea').count()).toBe(0);
    const alice = await signedIn('alice');
    expect(await alice.innerText('main')).toContain('You lack the role');
    expect((await alice.goto(`${origin}/approvals/${own}`))?.status()).toBe(403);
    await browser.screenshot(alice, 'approvals-refused');

    const ada = await signedIn('admin-ada');
    await ada.goto(`${origin}/approvals/${own}`);
    await world.query('update approvals set expires_at = now() where id = $1', [own]);
    await ada.click('text=Approve what is ticked');
    expect(await ada.innerText('main')).toContain('no longer waits');
    expect((await stateOf(own))?.state).toBe('pending');
  });
}
