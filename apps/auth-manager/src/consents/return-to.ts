import { z } from 'zod';

const page = z.url({ protocol: /^https$/ }).max(1024);

/** POSTERN_CONSENT_RETURN_TO: which pages a client may name for after a consent. JSON, client id -> exact URLs. */
export const returnPages = z.record(z.string().min(1).max(128), z.array(page).max(32));
export type ReturnPages = z.output<typeof returnPages>;

/** Whether the client may send a browser there. Compared as a whole: no prefix, no pattern. */
export const mayReturnTo = (pages: ReturnPages, client: string, url: string): boolean =>
  Object.hasOwn(pages, client) && (pages[client] ?? []).includes(url);

/** The page with the outcome in its query: `consent` (id) and `outcome`. */
export function returnUrl(to: string, consent: string, outcome: 'completed' | 'denied' | 'failed'): string {
  const url = new URL(to);
  url.searchParams.set('consent', consent);
  url.searchParams.set('outcome', outcome);
  return url.href;
}
