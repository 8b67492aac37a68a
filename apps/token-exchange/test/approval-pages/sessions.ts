import { expect, test } from '@jest/globals';
import { developmentPassword, login as headlessLogin } from '@postern/testing';
import { request } from 'undici';
import { anonymous, asked, browser, ca, idOf, login, origin, realm, signedIn, stateOf, world } from './scene.ts';

/** R17: whose form, cookie and sign-in it is, and when a session ends. */
export function sessions(): void {
  test('a form without the session’s own token, or from another origin, changes nothing', async () => {
    const id = idOf(await asked('secrets:read'));
    const ada = await signedIn('admin-ada');
    await ada.goto(`${origin}/approvals/${id}`);
    const csrf = await ada.getAttribute('input[name=csrf]', 'value');
    const cookies = (await ada.context().cookies(origin)).map(({ name, value }) => `${name}=${value}`).join('; ');
    const post = async (form: Record<string, string>, headers: Record<string, string>) => {
      const answer = await request(`${origin}/approvals/${id}/decision`, {
        method: 'POST',
        dispatcher: anonymous,
        headers: { cookie: cookies, 'content-type': 'application/x-www-form-urlencoded', ...headers },
        body: new URLSearchParams(form).toString(),
      });
      await answer.body.dump();
      return answer.statusCode;
    };
    const form = { csrf: csrf ?? '', decision: 'approved', scope: 'secrets:read' };
    expect(await post({ ...form, csrf: 'x'.repeat(43) }, { origin })).toBe(403);
    expect(await post(form, { origin: realm.issuer })).toBe(403);
    expect(await post(form, { origin: 'null' })).toBe(403);
    expect(await post(form, {})).toBe(403);
    expect((await stateOf(id))?.state).toBe('pending');
    // The same request as the page sends it: so it was the token and the origin that were refused.
    expect(await post(form, { origin })).toBe(303);
    expect((await stateOf(id))?.state).toBe('approved');
  });

  test('cookies are of this host alone, unreadable for scripts, and pages allow no script, frame or foreign form', async () => {
    const ada = await signedIn('admin-ada');
    const answer = await ada.goto(`${origin}/approvals`);
    const own = (await ada.context().cookies(origin)).filter(({ name }) => name.startsWith('__Host-'));
    expect(own).toEqual([
      expect.objectContaining({ name: '__Host-session', secure: true, httpOnly: true, sameSite: 'Lax', path: '/' }),
    ]);
    const csp = answer?.headers()['content-security-policy'];
    expect(csp).toMatch(
      /^default-src 'none'; style-src 'sha256-[^']+'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'$/,
    );
    expect(answer?.headers()['cache-control']).toBe('no-store');
    const value = own[0]?.value ?? '';
    expect(await answer?.text()).not.toContain(value);
    expect(JSON.stringify(await world.query('select * from web_sessions'))).not.toContain(value);
  });

  test('a callback that was not begun in this browser signs nobody in', async () => {
    const ada = await signedIn('admin-ada');
    // dave signs in at the provider for a sign-in that somebody else began, and his browser is kept from the callback.
    const begun = await request(`${origin}/approvals/sign-in`, { dispatcher: anonymous });
    const dave = {
      username: 'dave',
      password: developmentPassword('dave'),
      redirectUri: `${origin}/approvals/callback`,
    };
    const callback = await headlessLogin(String(begun.headers['location']), { ...dave, ca });
    expect(callback.searchParams.get('code')).not.toBeNull();
    const victim = await browser.visitor({ scripts: false });
    expect((await victim.goto(callback.href))?.status()).toBe(400);
    expect(await victim.innerText('main')).toContain('not begun in this browser');
    expect((await victim.context().cookies(origin)).filter(({ name }) => name === '__Host-session')).toEqual([]);
    await victim.context().close();
    expect((await ada.goto(`${origin}/approvals`))?.status()).toBe(200);
  });

  test('a session ends when idle, and when the provider says so', async () => {
    const page = await browser.visitor({ scripts: false });
    await page.goto(`${origin}/approvals/sign-in?for=/approvals`);
    await login(page, 'dave');
    const shown = async () => {
      await page.goto(`${origin}/approvals`);
      return page.innerText('main');
    };
    expect(await shown()).not.toContain('Sign in to see');
    world.skew(16 * 60_000);
    expect(await shown()).toContain('Sign in to see');
    world.skew(0);
    expect(await shown()).not.toContain('Sign in to see');
    await realm.logoutUser('dave');
    expect(await shown()).toContain('Sign in to see');
    await page.context().close();
  });
}
