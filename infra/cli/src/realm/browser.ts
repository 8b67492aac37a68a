import { Agent, request } from 'undici';
import { CommandFailed, exitCodes } from '../outcome.ts';

export type Credentials = { username: string; password: string };

type Page = { url: URL; location?: URL; html: string };

export type Browser = {
  /** Follows the pages from `start`, filling in what they ask, and answers the code that reaches `redirectUri`. */
  codeFrom(start: URL, credentials: Credentials, redirectUri: string): Promise<string>;
};

/** Login, consent and the redirects between them; more is a loop. */
const MOST_PAGES = 20;

/** As much of a browser as a login needs: cookies by origin, redirects, and forms. */
export function openBrowser(ca: string): Browser {
  const cookies = new Map<string, Map<string, string>>();

  async function load(agent: Agent, url: URL, form?: URLSearchParams): Promise<Page> {
    const jar = cookies.get(url.origin) ?? new Map<string, string>();
    cookies.set(url.origin, jar);
    const answer = await request(url, {
      dispatcher: agent,
      method: form ? 'POST' : 'GET',
      headers: {
        accept: 'text/html',
        cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '),
        ...(form ? { 'content-type': 'application/x-www-form-urlencoded', origin: url.origin } : {}),
      },
      ...(form ? { body: form.toString() } : {}),
    });
    for (const line of [answer.headers['set-cookie'] ?? []].flat()) keep(jar, line);
    const location = answer.headers['location'];
    const html = await answer.body.text();
    return { url, html, ...(typeof location === 'string' ? { location: new URL(location, url) } : {}) };
  }

  return {
    async codeFrom(start, credentials, redirectUri) {
      const agent = new Agent({ connect: { ca } });
      try {
        let page = await load(agent, start);
        for (let pages = 0; pages < MOST_PAGES; pages += 1) {
          if (page.location?.href.startsWith(redirectUri)) return codeOf(page.location);
          if (page.location) page = await load(agent, page.location);
          else {
            const { action, fields } = filledIn(page, credentials);
            page = await load(agent, action, fields);
          }
        }
        throw new CommandFailed(exitCodes.refused, 'the login went round in circles');
      } finally {
        await agent.close();
      }
    },
  };
}

function keep(jar: Map<string, string>, line: string): void {
  const [pair = '', ...attributes] = line.split(';');
  const at = pair.indexOf('=');
  const gone = attributes.some((attribute) => /^\s*max-age=0\s*$/i.test(attribute));
  if (gone || pair.slice(at + 1) === '') jar.delete(pair.slice(0, at).trim());
  else jar.set(pair.slice(0, at).trim(), pair.slice(at + 1).trim());
}

function codeOf(location: URL): string {
  const code = location.searchParams.get('code');
  if (code !== null) return code;
  throw new CommandFailed(
    exitCodes.refused,
    `the login was refused: ${location.searchParams.get('error') ?? 'no code'}`,
  );
}

function filledIn({ html, url }: Page, { username, password }: Credentials): { action: URL; fields: URLSearchParams } {
  const form = /<form\b([^>]*)>([\s\S]*?)<\/form>/i.exec(html);
  if (!form) throw new CommandFailed(exitCodes.refused, 'the login page has no form');
  const action = attribute(form[1] ?? '', 'action');
  const fields = new URLSearchParams();
  for (const [tag] of (form[2] ?? '').matchAll(/<(?:input|button)\b[^>]*>/gi)) {
    const name = attribute(tag, 'name');
    if (name === undefined) continue;
    if (name === 'username' || name === 'login') fields.set(name, username);
    else if (name === 'password') fields.set(name, password);
    else if (attribute(tag, 'type') === 'hidden' || name === 'accept') fields.set(name, attribute(tag, 'value') ?? '');
  }
  return { action: new URL(action ?? url, url), fields };
}

function attribute(tag: string, name: string): string | undefined {
  const found = new RegExp(`\\b${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)')`, 'i').exec(tag);
  return (found?.[1] ?? found?.[2])?.replaceAll('&amp;', '&').replaceAll('&#x3D;', '=').replaceAll('&quot;', '"');
}
