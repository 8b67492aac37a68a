import { escapeHtml, pageOf } from './page.ts';

/** What a browser is shown where it is not sent on. Fixed texts: nothing that arrived stands in them. */
const outcomes = {
  completed: ['Access granted', 'You may close this page. You can withdraw the access at any time.'],
  denied: ['Access not granted', 'You declined. Nothing was stored.'],
  failed: ['Access not granted', 'The login did not lead to a grant. Nothing was stored.'],
  other_person: [
    'Access not granted',
    'You are logged in as somebody else than the person who started this. Nothing was stored.',
  ],
  gone: ['This link is no longer good', 'It was used, or belongs to another browser. Start again where it came from.'],
  expired: [
    'This link has expired',
    'It was not finished in time. Nothing was stored. Start again where it came from.',
  ],
} as const;

export type ConsentOutcome = keyof typeof outcomes;

/** A whole page that says how it ended; with a way back where the consent has a page after it. */
export function outcomePage(outcome: ConsentOutcome, back?: { to: string; client: string }): string {
  const [title, text] = outcomes[outcome];
  const link =
    back === undefined
      ? ''
      : `\n<div class="choices"><a class="choice lead" href="${escapeHtml(back.to)}" rel="noreferrer">Back to ${escapeHtml(back.client)}</a></div>`;
  return pageOf(title, `<p>${text}</p>${link}`);
}
