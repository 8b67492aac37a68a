import { Agent, type Dispatcher, request } from 'undici';

/** What a page load gave: the last answer, after redirects. */
export type Page = { url: string; status: number; text: string; location?: string };

/** A browser without a window: a cookie jar, redirects and plain forms. */
export type HeadlessBrowser = {
  /** Loads an address, following redirects until one leads to `until` (not loaded), or a page is shown. */
  open(url: string, until?: string): Promise<Page>;
  submit(url: string, form: Record<string, string>, until?: string): Promise<Page>;
  /**
   * Opens an authorization address and answers the login and consent forms, as a person would.
   * @returns the address the browser is sent back to, with its `code` or `error`
   * @throws LoginFailed with what the page said
   */
  login(url: string, person: Person): Promise<URL>;
  cookies: ReadonlyMap<string, string>;
  close(): Promise<void>;
};

export type Person = {
  username: string;
  password: string;
  /** Where the client waits; the browser stops there. Left out: at the first address of another origin. */
  redirectUri?: string;
  /** Answer to a consent form; yes unless said otherwise. */
  consent?: boolean;
};

/** The provider showed something else than a form that can be answered. */
export class LoginFailed extends Error {
  override name = 'LoginFailed';
  readonly status: number;
  constructor(reason: string, status: number) {
    super(reason);
    this.status = status;
  }
}

const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
const unescape = (text: string) =>
  text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex?: string, decimal?: string, name?: string) => {
    if (hex) return String.fromCodePoint(Number.parseInt(hex, 16));
    if (decimal) return String.fromCodePoint(Number(decimal));
    return entities[name ?? ''] ?? whole;
  });
const attribute = (tag: string, name: string) => new RegExp(`\\s${name}="([^"]*)"`, 'i').exec(tag)?.[1];

/** The first form of a page: where it goes, its fields with their values, and its buttons. */
export function formOf(
  html: string,
): { action: string; fields: Record<string, string>; names: Set<string> } | undefined {
  const form = /<form\b[^>]*>[\s\S]*?<\/form>/i.exec(html)?.[0];
  if (!form) return undefined;
  const fields: Record<string, string> = {};
  const names = new Set<string>();
  for (const [tag] of form.matchAll(/<(?:input|button)\b[^>]*>/gi)) {
    const name = attribute(tag, 'name');
    if (!name) continue;
    names.add(name);
    if (attribute(tag, 'type') === 'hidden') fields[name] = unescape(attribute(tag, 'value') ?? '');
  }
  return { action: unescape(attribute(form, 'action') ?? ''), fields, names };
}

/** Where the link of that id leads, as on auth-manager's page before the login. */
export function linkOf(html: string, id: string): string | undefined {
  const tag = [...html.matchAll(/<a\b[^>]*>/gi)].map(([found]) => found).find((found) => attribute(found, 'id') === id);
  return tag && unescape(attribute(tag, 'href') ?? '');
}

/** What an error page or a rejected login form says. */
function complaintOf(html: string): string | undefined {
  const found =
    /id="input-error(?!-container)[^"]*"[^>]*>([\s\S]*?)<\/(?:span|div|p)>/.exec(html)?.[1] ??
    /class="[^"]*instruction[^"]*"[^>]*>([\s\S]*?)<\/p>/.exec(html)?.[1];
  return found && unescape(found.replace(/<[^>]*>/g, '').trim());
}

/**
 * Opens a headless browser that trusts only the given CA (PEM). It works on the development provider's pages and on
 * Keycloak's; it runs no script.
 */
export function openHeadlessBrowser({ ca }: { ca: string }): HeadlessBrowser {
  const dispatcher: Dispatcher = new Agent({ connect: { ca } });
  const jar = new Map<string, { value: string; path: string }>();
  const cookies = new Map<string, string>();

  const remember = (header: string | string[] | undefined, url: string) => {
    for (const line of header === undefined ? [] : [header].flat()) {
      const [pair = '', ...attributes] = line.split(';').map((part) => part.trim());
      const name = pair.slice(0, pair.indexOf('='));
      const value = pair.slice(pair.indexOf('=') + 1);
      const find = (key: string) =>
        attributes.find((one) => one.toLowerCase().startsWith(`${key}=`))?.slice(key.length + 1);
      const expires = find('expires');
      const gone = find('max-age') === '0' || (expires !== undefined && Date.parse(expires) <= Date.now());
      const path = find('path') ?? new URL(url).pathname.replace(/\/[^/]*$/, '/');
      if (gone) jar.delete(`${path} ${name}`);
      else jar.set(`${path} ${name}`, { value, path });
    }
    cookies.clear();
    for (const [key, { value }] of jar) cookies.set(key.slice(key.indexOf(' ') + 1), value);
  };
  const cookieHeader = (url: string) => {
    const { pathname } = new URL(url);
    const inPath = ({ path }: { path: string }) =>
      pathname === path || pathname.startsWith(path.endsWith('/') ? path : `${path}/`);
    return [...jar]
      .filter(([, cookie]) => inPath(cookie))
      .map(([key, { value }]) => `${key.slice(key.indexOf(' ') + 1)}=${value}`)
      .join('; ');
  };

  const load = async (start: string, form?: Record<string, string>, until?: string): Promise<Page> => {
    let url = start;
    let body = form;
    for (let hops = 0; hops < 12; hops += 1) {
      const cookie = cookieHeader(url);
      const answer = await request(url, {
        dispatcher,
        method: body ? 'POST' : 'GET',
        headers: {
          accept: 'text/html',
          ...(cookie ? { cookie } : {}),
          ...(body ? { 'content-type': 'application/x-www-form-urlencoded' } : {}),
        },
        ...(body ? { body: new URLSearchParams(body).toString() } : {}),
      });
      remember(answer.headers['set-cookie'], url);
      const text = await answer.body.text();
      const location = answer.headers['location'];
      if (answer.statusCode < 300 || answer.statusCode >= 400 || typeof location !== 'string') {
        return { url, status: answer.statusCode, text };
      }
      const next = new URL(location, url);
      const leaves = until ? next.href.startsWith(until) : next.origin !== new URL(start).origin;
      if (leaves) return { url, status: answer.statusCode, text, location: next.href };
      url = next.href;
      body = undefined;
    }
    throw new LoginFailed('too many redirects', 310);
  };

  const browser: HeadlessBrowser = {
    open: (url, until) => load(url, undefined, until),
    submit: (url, form, until) => load(url, form, until),
    login: async (url, { username, password, redirectUri, consent = true }) => {
      let page = await browser.open(url, redirectUri);
      let loggedIn = false;
      for (let step = 0; step < 8; step += 1) {
        if (page.location) return new URL(page.location);
        const onward = linkOf(page.text, 'continue');
        if (onward) {
          page = await browser.open(new URL(onward, page.url).href, redirectUri);
          continue;
        }
        const form = formOf(page.text);
        if (!form) throw new LoginFailed(complaintOf(page.text) ?? 'the provider showed no form', page.status);
        const action = new URL(form.action, page.url).href;
        if (form.names.has('accept')) {
          const answer = consent ? { accept: 'Yes' } : { cancel: 'No' };
          page = await browser.submit(action, { ...form.fields, ...answer }, redirectUri);
        } else if (form.names.has('password')) {
          if (loggedIn) throw new LoginFailed(complaintOf(page.text) ?? 'the login was refused', page.status);
          loggedIn = true;
          page = await browser.submit(action, { ...form.fields, username, password }, redirectUri);
        } else {
          throw new LoginFailed(complaintOf(page.text) ?? 'the provider showed an unknown form', page.status);
        }
      }
      throw new LoginFailed('too many forms', page.status);
    },
    cookies,
    close: async () => dispatcher.close(),
  };
  return browser;
}

/** One login in a fresh browser: opens the address, answers the forms, returns where the client is called back. */
export async function login(url: string, person: Person & { ca: string }): Promise<URL> {
  const browser = openHeadlessBrowser({ ca: person.ca });
  try {
    return await browser.login(url, person);
  } finally {
    await browser.close();
  }
}
