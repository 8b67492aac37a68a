import { createHash } from 'node:crypto';

/** The one style of all pages: dark enough on light and light enough on dark for every reader (WCAG 2.2, 1.4.3). */
const STYLE = `
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #4d5661; --paper: #fff; --back: #eef1f4; --line: #c8d0d9; --lead: #0b57a4; --on-lead: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e9edf1; --soft: #b4bec9; --paper: #1c2127; --back: #12161a; --line: #46505b; --lead: #8cc2ff; --on-lead: #0c1a29; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
main { max-width: 34rem; margin: 0 auto; padding: 2rem 1.5rem; background: var(--paper); min-height: 100vh; }
@media (min-width: 40rem) {
  main { margin: 3rem auto; min-height: 0; border: 1px solid var(--line); border-radius: .75rem; padding: 2rem; }
}
h1 { margin: 0 0 1rem; font-size: 1.5rem; line-height: 1.25; }
h2 { margin: 1.5rem 0 .5rem; font-size: 1rem; }
p { margin: 0 0 1rem; }
.soft { color: var(--soft); }
.purpose { border-left: .25rem solid var(--line); margin: 0 0 1rem; padding: .25rem 0 .25rem 1rem; }
ul { margin: 0 0 1rem; padding-left: 1.25rem; }
li { margin: .25rem 0; }
code { font: .9375rem ui-monospace, monospace; }
.choices { display: grid; gap: .75rem; margin: 1.5rem 0; }
.choice { display: block; width: 100%; padding: .625rem 1.25rem; border: 2px solid var(--lead); border-radius: .5rem; background: transparent; color: var(--lead); font: inherit; font-weight: 600; text-align: center; text-decoration: none; cursor: pointer; }
.choice:hover { text-decoration: underline; text-underline-offset: .25em; }
@media (min-width: 40rem) {
  .choices { display: flex; flex-wrap: wrap; }
  .choice { width: auto; }
}
.choice.lead { background: var(--lead); color: var(--on-lead); }
main > :last-child { margin-bottom: 0; }
a { color: var(--lead); }
:focus-visible { outline: 3px solid var(--lead); outline-offset: 3px; }
`;

const styleHash = createHash('sha256').update(STYLE).digest('base64');

/** Nothing is loaded, nothing runs, nobody may frame it; the style is this very text, and a form goes only to us. */
export const PAGE_POLICY = `default-src 'none'; style-src 'sha256-${styleHash}'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'`;

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text as it may stand in an element or in a quoted attribute. */
export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => entities[character] ?? '');

/** A whole page; `body` is HTML, its texts escaped by whoever made it. */
export const pageOf = (title: string, body: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
${body}
</main>
</body>
</html>
`;
