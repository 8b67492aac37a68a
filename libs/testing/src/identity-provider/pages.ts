import { type ServerResponse } from 'node:http';

const escapes: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escape = (text: string) => text.replace(/[&<>"']/g, (character) => escapes[character] ?? '');

const style = `
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
  body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: light-dark(#f3f4f6, #14171c); }
  main { width: min(22rem, calc(100vw - 3rem)); padding: 2rem; border-radius: 12px; background: light-dark(#fff, #1f242c);
    box-shadow: 0 8px 30px rgb(0 0 0 / .12); }
  h1 { font-size: 1.25rem; margin: 0 0 1rem; } p, ul { margin: 0 0 1rem; } ul { padding-left: 1.2rem; }
  label { display: block; font-size: .875rem; margin-bottom: .75rem; }
  input:not([type=hidden]) { display: block; box-sizing: border-box; width: 100%; padding: .55rem .7rem; margin-top: .25rem;
    font: inherit; border: 1px solid light-dark(#c9ced6, #465061); border-radius: 7px; background: transparent; color: inherit; }
  button { font: inherit; padding: .55rem 1.1rem; border: 0; border-radius: 7px; cursor: pointer; background: #2357d9; color: #fff; }
  button.quiet { background: transparent; color: inherit; }
  .error { color: light-dark(#b3261e, #ff8a80); } small { opacity: .65; }`;

function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title><style>${style}</style></head>
<body><main>${body}</main></body>
</html>`;
}

/** Keycloak's field names, so that whoever can log in here can log in there. */
export function loginPage(realm: string, action: string, failed?: { username: string; message: string }): string {
  const error = failed ? `<p class="error" id="input-error" role="alert">${escape(failed.message)}</p>` : '';
  return page(
    `Sign in to ${realm}`,
    `<h1>Sign in to ${escape(realm)}</h1>${error}
<form id="kc-form-login" method="post" action="${escape(action)}">
<label>Username <input name="username" type="text" autocomplete="username" autofocus required value="${escape(failed?.username ?? '')}"></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button name="login" type="submit">Sign in</button>
</form><p><small>Development identity provider</small></p>`,
  );
}

export function consentPage(realm: string, action: string, client: string, scopes: string[]): string {
  const items = scopes.map((scope) => `<li>${escape(scope)}</li>`).join('');
  return page(
    `Grant access to ${client}`,
    `<h1>Grant access to ${escape(client)}</h1><p>${escape(client)} asks for:</p><ul>${items}</ul>
<form id="kc-consent" method="post" action="${escape(action)}">
<button name="accept" type="submit" value="Yes">Yes</button>
<button class="quiet" name="cancel" type="submit" value="No">No</button>
</form><p><small>${escape(realm)}</small></p>`,
  );
}

export function logoutPage(realm: string, fields: Record<string, string>): string {
  const hidden = Object.entries(fields)
    .map(([name, value]) => `<input type="hidden" name="${escape(name)}" value="${escape(value)}">`)
    .join('');
  return page(
    `Sign out of ${realm}`,
    `<h1>Do you want to sign out?</h1><form id="kc-logout-confirm" method="post">${hidden}
<button name="confirmLogout" type="submit" value="Logout">Sign out</button></form>`,
  );
}

export const messagePage = (realm: string, message: string) => page(realm, `<h1>${escape(message)}</h1>`);

export const errorPage = (realm: string, message: string) =>
  page(realm, `<h1>We are sorry</h1><p class="instruction error" id="kc-error-message">${escape(message)}</p>`);

/** No other site may frame a page, and it runs no script. */
export const pageHeaders = {
  'Content-Type': 'text/html; charset=utf-8',
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
};

export function sendPage(response: ServerResponse, status: number, html: string): void {
  response.writeHead(status, pageHeaders).end(html);
}
