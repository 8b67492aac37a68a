import { hash } from 'node:crypto';
import type { Page } from '@postern/http';
import { html, Html } from './html.ts';
import { style } from './style.ts';

const STYLE_HASH = hash('sha256', style, 'base64');

/**
 * Nothing is loaded, framed or run; the one style is named by its hash, and forms go to this origin only. Pages need no script,
 * and none would run.
 */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${STYLE_HASH}'`,
  "form-action 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join('; ');

export type PageOf = {
  title: string;
  /** What stands in `<main>`, under its `<h1>`. */
  main: Html;
  /** At the right of the top line: who is signed in. */
  who?: Html;
  /** Where the name at the top leads. */
  home: string;
  status?: number;
  cookies?: readonly string[];
};

/**
 * A whole page for `audit.page`. The referrer goes to this origin only: with `no-referrer`, which every other answer says, a
 * browser would send `Origin: null` with the page's own forms (Fetch, 3.2), and the exact origin could not be checked.
 */
export function page({ title, main, who, home, status, cookies }: PageOf): Page {
  const document = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <meta name="referrer" content="same-origin" />
        <title>${title} · Postern</title>
        ${new Html(`<style>${style}</style>`)}
      </head>
      <body>
        <header class="top">
          <div><a class="brand" href="${home}">Postern</a>${who}</div>
        </header>
        <main>
          <h1>${title}</h1>
          ${main}
        </main>
      </body>
    </html>`;
  return {
    html: document.markup,
    contentSecurityPolicy: CONTENT_SECURITY_POLICY,
    ...(status !== undefined && { status }),
    ...(cookies && { cookies }),
  };
}
