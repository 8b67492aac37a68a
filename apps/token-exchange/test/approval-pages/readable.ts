import { expect, test } from '@jest/globals';
import { accessibilityViolations, type Page } from '@postern/testing/browser';
import { asked, browser, idOf, login, origin } from './scene.ts';

/** How many widths the buttons of a choice have, and whether the page goes beyond the window. */
async function sizes(page: Page) {
  const boxes = await Promise.all((await page.locator('.actions button').all()).map((button) => button.boundingBox()));
  const main = await page.locator('main').boundingBox();
  return {
    buttons: new Set(boxes.map((box) => Math.round(box?.width ?? 0))).size,
    beyond: (main?.width ?? Infinity) > (page.viewportSize()?.width ?? 0),
  };
}

/** For every reader, at any width. */
export function readable(): void {
  test('no serious violation of WCAG 2.2 AA on any page', async () => {
    const id = idOf(await asked('secrets:read secrets:write', { justification: 'To be read aloud' }));
    const page = await browser.visitor();
    const found: unknown[] = [];
    const check = async () => found.push(...(await accessibilityViolations(page)));
    await page.goto(`${origin}/approvals`);
    await check();
    await browser.screenshot(page, 'approvals-sign-in');
    await page.click('text="Sign in"');
    await login(page, 'dave');
    await check();
    await page.goto(`${origin}/approvals/${id}`);
    await check();
    await page.emulateMedia({ colorScheme: 'dark' });
    await check();
    await browser.screenshot(page, 'approvals-request-dark');
    for (const width of [320, 380]) {
      await page.setViewportSize({ width, height: 800 });
      expect(await sizes(page)).toEqual({ buttons: 1, beyond: false });
      await check();
      await browser.screenshot(page, `approvals-request-${width}`);
    }
    await page.goto(`${origin}/approvals/${crypto.randomUUID()}`);
    await check();
    await page.click('text="Sign out"');
    await check();
    expect(await page.innerText('main')).toContain('Your session here is over');
    expect(found).toEqual([]);
    await page.goto(`${origin}/approvals`);
    expect(await page.innerText('main')).toContain('Sign in to see');
    await page.context().close();
  });
}
