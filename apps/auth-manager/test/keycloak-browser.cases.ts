import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { accessibilityViolations, type BrowserContext, type OpenBrowser, type Page } from '@postern/testing/browser';
import { HANDLE, SCOPES } from './consents.ts';
import { password, type Username } from './keycloak-realm.ts';
import type { KeycloakSite } from './keycloak-site.ts';
import { PORTAL_PAGE } from './world.ts';

/** Consents as a person sees them, and what a logout does to them. */
export function browserCases(site: () => KeycloakSite, browser: OpenBrowser): void {
  const settings = { POSTERN_LOGOUT_AUDIENCES: 'auth-manager portal' };
  beforeAll(() => site().serve('consents', settings), 60_000);
  afterAll(() => browser.close());

  type Asked = { username?: Username; return_to?: string; purpose?: string; handle?: typeof HANDLE };
  async function start({ username = 'alice', ...asked }: Asked = {}) {
    const { portal, replica, tokenOf } = site();
    const { body } = await portal.send(`${replica().api}/v1/consents`, {
      method: 'POST',
      token: await tokenOf(username),
      body: { scopes: SCOPES, handle: HANDLE, ...asked },
    });
    return { id: String(body['id']), link: String(body['consent_url']) };
  }
  async function statusOf(id: string, username: Username = 'alice') {
    const { portal, replica, tokenOf } = site();
    return (await portal.send(`${replica().api}/v1/consents/${id}`, { token: await tokenOf(username) })).body;
  }

  async function logIn(page: Page, username: Username) {
    await page.locator('#continue').click();
    await page.locator('#username').fill(username);
    await page.locator('#password').fill(password);
    await page.locator('#kc-login').click();
  }
  const answer = (page: Page, what: 'accept' | 'cancel') => page.locator(`[name=${what}]`).click();
  async function visitor(options?: Parameters<OpenBrowser['visitor']>[0]): Promise<Page> {
    const page = await browser.visitor(options);
    // The client's own page, where one is named: somewhere else, and not ours to run.
    await page.route(`${PORTAL_PAGE}**`, (route) =>
      route.fulfill({ contentType: 'text/html', body: '<title>Portal</title><h1>Portal</h1>' }),
    );
    return page;
  }
  const leave = (page: Page) => (page.context() as BrowserContext).close();

  test('the page says what is asked, can be used by everybody, and leads through Keycloak to a grant that refreshes', async () => {
    const purpose = 'Every night the report of your records is made & sent to your team.';
    const { id, link } = await start({ purpose });
    const page = await visitor();
    const problems: string[] = [];
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
    await page.goto(link);
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Allow lasting access?');
    expect(await page.getByText(purpose).count()).toBe(1);
    expect(await accessibilityViolations(page)).toEqual([]);
    await browser.screenshot(page, 'consent-page');
    // The keyboard alone is enough.
    await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement.id')).toBe('continue');
    await page.emulateMedia({ colorScheme: 'dark' });
    expect(await accessibilityViolations(page)).toEqual([]);
    await browser.screenshot(page, 'consent-page-dark');
    await page.emulateMedia({ colorScheme: 'light' });
    expect(problems).toEqual([]);

    await logIn(page, 'alice');
    await answer(page, 'accept');
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Access granted');
    expect(await accessibilityViolations(page)).toEqual([]);
    await browser.screenshot(page, 'consent-granted');
    const { state, grant } = await statusOf(id);
    expect(state).toBe('completed');
    expect(await site().refreshed(String(grant))).toBe(200);
    await leave(page);
  });

  test('without a script, on a narrow screen, with long names, it works the same, and ends on the client’s own page', async () => {
    const asked = { handle: { ...HANDLE, audiences: ['a'.repeat(63)] }, purpose: 'x'.repeat(280) };
    const { id, link } = await start({ return_to: PORTAL_PAGE, username: 'ada', ...asked });
    const page = await visitor({ scripts: false });
    await page.setViewportSize({ width: 360, height: 640 });
    await page.goto(link);
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360);
    await browser.screenshot(page, 'consent-page-narrow');
    await logIn(page, 'ada');
    await answer(page, 'accept');
    await page.waitForURL(`${PORTAL_PAGE}?consent=${id}&outcome=completed`);
    expect(await statusOf(id, 'ada')).toMatchObject({ state: 'completed' });
    await leave(page);
  });

  test('a no counts on our page and at Keycloak alike', async () => {
    const here = await start({ return_to: PORTAL_PAGE });
    const page = await visitor();
    await page.goto(here.link);
    await page.getByRole('button', { name: 'Do not allow' }).click();
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Access not granted');
    expect(await accessibilityViolations(page)).toEqual([]);
    await browser.screenshot(page, 'consent-declined');
    await page.getByRole('link', { name: 'Back to portal' }).click();
    await page.waitForURL(`${PORTAL_PAGE}?consent=${here.id}&outcome=denied`);
    expect(await statusOf(here.id)).toMatchObject({ state: 'denied' });

    const there = await start();
    await page.goto(there.link);
    await logIn(page, 'alice');
    await answer(page, 'cancel');
    expect(await page.getByText('You declined').count()).toBe(1);
    await browser.screenshot(page, 'consent-denied-at-keycloak');
    expect(await statusOf(there.id)).toMatchObject({ state: 'denied', reason: 'access_denied' });
    await leave(page);
  });

  test('R18: the link in another person’s hands stores nothing; one that is too old, or was used, says so', async () => {
    const handed = await start();
    const page = await visitor();
    await page.goto(handed.link);
    await logIn(page, 'audrey');
    await answer(page, 'accept');
    expect(await page.getByText('somebody else').count()).toBe(1);
    await browser.screenshot(page, 'consent-other-person');
    expect(await statusOf(handed.id)).toMatchObject({ state: 'failed', reason: 'other_person', grant: null });
    await page.goto(handed.link);
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('This link is no longer good');
    await browser.screenshot(page, 'consent-gone');

    const old = await start();
    await site().world.query("update consents set expires_at = now() - interval '1 second' where id = $1", [old.id]);
    await page.goto(old.link);
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('This link has expired');
    expect(await accessibilityViolations(page)).toEqual([]);
    await browser.screenshot(page, 'consent-expired');
    await leave(page);
  });

  test('JARM: in high Keycloak signs its answer, and the grant comes of it', async () => {
    const { world, serve } = site();
    await serve('consents', { ...settings, POSTERN_PROFILE: 'fedramp-high', POSTERN_FIPS: 'false' });
    const { id, link } = await start();
    const page = await visitor();
    const answers: string[] = [];
    page.on('request', (sent) => sent.url().startsWith(world.callbackUrl) && answers.push(sent.url()));
    await page.goto(link);
    await logIn(page, 'alice');
    await answer(page, 'accept');
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Access granted');
    expect(answers.map((url) => [...new URL(url).searchParams.keys()])).toEqual([['response']]);
    expect(await statusOf(id)).toMatchObject({ state: 'completed' });
    await leave(page);
  });

  test('R15: a logout at Keycloak reaches us, and in high ends the offline grants of that session, here and there', async () => {
    const { world, keycloak, issuer, beside } = site();
    const page = await visitor();
    const query = new URLSearchParams({
      client_id: 'portal',
      response_type: 'code',
      scope: 'openid',
      redirect_uri: PORTAL_PAGE,
    });
    await page.goto(`${issuer()}/protocol/openid-connect/auth?${query.toString()}`);
    await page.locator('#username').fill('audrey');
    await page.locator('#password').fill(password);
    await page.locator('#kc-login').click();
    await page.waitForURL(`${PORTAL_PAGE}?**`);
    // The consent is of the same login at Keycloak.
    const { id, link } = await start({ username: 'audrey' });
    await page.goto(link);
    await page.locator('#continue').click();
    await answer(page, 'accept');
    await leave(page);
    const { grant } = await statusOf(id, 'audrey');
    const row = async () =>
      world.db
        .selectFrom('grants')
        .select(['state', 'sealed_token'])
        .where('id', '=', String(grant))
        .executeTakeFirst();
    expect((await row())?.state).toBe('active');
    await keycloak.realm('consents').logoutUser('audrey');
    for (let looks = 0; looks < 900 && (await row())?.state === 'active'; looks++) await sleep(100);
    // Keycloak keeps the offline token; the profile does not. A worker's round revokes it there.
    expect(await row()).toEqual({ state: 'ended', sealed_token: expect.any(Buffer) });
    const worker = await beside({ POSTERN_ROLE: 'worker' });
    for (let looks = 0; looks < 900 && (await row())?.sealed_token !== null; looks++) await sleep(100);
    expect(await row()).toEqual({ state: 'ended', sealed_token: null });
    await worker.close();
  });
}
