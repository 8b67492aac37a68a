import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { accessibilityViolations, openBrowser } from '../src/browser/index.ts';
import { busCa, describeWith, developmentCa, realPart, type Authority } from '../src/index.ts';

const PAGE = (title: string, body: string) =>
  `<!doctype html><html lang="en"><head><title>${title}</title></head><body><main>${body}</main></body></html>`;

describeWith(await realPart('Chromium', openBrowser), 'a real browser', (browser) => {
  const servers: Server[] = [];
  let url: string;

  async function serve(authority: Authority): Promise<string> {
    const { cert, key } = await authority.issue('page');
    const server = createServer({ cert, key }, ({ url: path }, response) => {
      const headers = { 'content-type': 'text/html', 'content-security-policy': "default-src 'none'" };
      response.writeHead(200, { ...headers, 'set-cookie': '__Host-seen=1; Secure; HttpOnly; SameSite=Lax; Path=/' });
      response.end(PAGE('Page', path === '/poor' ? '<img src="x.png"><input>' : '<h1>Hello</h1>'));
    });
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  }

  beforeAll(async () => {
    url = await serve(developmentCa());
  });

  afterAll(async () => {
    await browser.close();
    for (const server of servers) {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    }
  });

  test('takes a certificate of the development CA, and no other', async () => {
    const page = await browser.visitor();
    await page.goto(url);
    expect(await page.textContent('h1')).toBe('Hello');
    const other = await serve(busCa());
    await expect(page.goto(other)).rejects.toThrow('ERR_CERT_AUTHORITY_INVALID');
    await page.context().close();
  });

  test('keeps the cookies of visitors apart', async () => {
    const [one, two] = [await browser.visitor(), await browser.visitor({ scripts: false })];
    await one.goto(url);
    expect(await one.context().cookies()).toMatchObject([{ name: '__Host-seen', secure: true, httpOnly: true }]);
    expect(await two.context().cookies()).toEqual([]);
    await Promise.all([one.context().close(), two.context().close()]);
  });

  test('says what is not accessible on a page under a strict policy, and takes a picture of it', async () => {
    const page = await browser.visitor();
    await page.goto(`${url}poor`);
    const found = await accessibilityViolations(page);
    expect(found.map(({ rule }) => rule).sort()).toEqual(['image-alt', 'label']);
    expect(existsSync(await browser.screenshot(page, 'testing-browser'))).toBe(true);
    await page.goto(url);
    expect(await accessibilityViolations(page)).toEqual([]);
    await page.context().close();
  });
});
