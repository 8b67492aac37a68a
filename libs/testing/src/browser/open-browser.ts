import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { chromium, type BrowserContext, type Page } from 'playwright-core';
import type { Authority } from '../authority/authority.ts';
import { developmentCa } from '../authority/development-ca.ts';
import { chromiumPrograms, type Chromium } from './chromium.ts';

const run = promisify(execFile);
const screenshots = join(dirname(fileURLToPath(import.meta.url)), '../../../../.cache/screenshots');

const FLAGS = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const STEP_TIMEOUT_MS = 90_000;

export type { BrowserContext, Page };

export type BrowserOptions = {
  /** Whose certificates it takes, besides the public authorities: verification stays on. Default: the development CA. */
  authority?: Authority;
};

export type VisitorOptions = {
  /** Whether pages may run scripts. Default: yes. */
  scripts?: boolean;
};

export type OpenBrowser = {
  /** A page of a new visitor, with cookies of its own; every step waits 15 s at most. */
  visitor(options?: VisitorOptions): Promise<Page>;
  /** The whole page as `.cache/screenshots/NAME.png` of the checkout; gives the file's path. */
  screenshot(page: Page, name: string): Promise<string>;
  close(): Promise<void>;
};

/**
 * Real Chromium without a window, on a profile that ends with it. It ends with this process, however that ends (its pipe closes).
 *
 *     const chromium = await realPart('Chromium', openBrowser);
 *     describeWith(chromium, 'the page', (browser) => {
 *       afterAll(() => browser.close());
 *       test('...', async () => { const page = await browser.visitor(); await page.goto(url); ... });
 *     });
 *
 * @throws Error where Chromium cannot be had
 */
export async function openBrowser({ authority = developmentCa() }: BrowserOptions = {}): Promise<OpenBrowser> {
  const programs = await chromiumPrograms();
  const home = await mkdtemp(join(tmpdir(), 'postern-browser-'));
  try {
    await trust(programs, home, await authority.certificateForBrowsers());
    const browser = await chromium.launch({
      executablePath: programs.browser,
      headless: true,
      // Chromium refuses its sandbox to root.
      chromiumSandbox: process.getuid?.() !== 0,
      args: FLAGS,
      env: { ...withoutProxy(process.env), HOME: home },
    });
    return {
      async visitor({ scripts = true } = {}) {
        const context = await browser.newContext({ javaScriptEnabled: scripts, serviceWorkers: 'block' });
        context.setDefaultTimeout(STEP_TIMEOUT_MS);
        return context.newPage();
      },
      async screenshot(page, name) {
        const path = join(screenshots, `${name}.png`);
        await page.screenshot({ path, fullPage: true, animations: 'disabled' });
        return path;
      },
      async close() {
        await browser.close();
        await rm(home, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await rm(home, { recursive: true, force: true });
    throw error;
  }
}

/** Chromium on Linux takes what its user's NSS database names, beside the public authorities that it ships. */
async function trust({ certutil }: Chromium, home: string, anchor: string): Promise<void> {
  const database = join(home, '.pki/nssdb');
  await mkdir(database, { recursive: true });
  const file = join(home, 'ca.crt');
  await writeFile(file, anchor);
  await run(certutil, ['-N', '-d', `sql:${database}`, '--empty-password']);
  await run(certutil, ['-A', '-d', `sql:${database}`, '-n', 'Postern', '-t', 'C,,', '-i', file]);
}

/** The addresses are loopback's: a proxy of the environment would be asked for them. */
const withoutProxy = (environment: NodeJS.ProcessEnv): Record<string, string> =>
  Object.fromEntries(
    Object.entries(environment).filter(
      (pair): pair is [string, string] => pair[1] !== undefined && !/_proxy$/i.test(pair[0]),
    ),
  );
