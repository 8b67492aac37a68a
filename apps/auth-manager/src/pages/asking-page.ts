import type { ConsentRow } from '../consents/consent.ts';
import { escapeHtml, pageOf } from './page.ts';

type Shown = Pick<ConsentRow, 'id' | 'started_by' | 'purpose' | 'handle_workload' | 'handle_audiences' | 'scopes'>;

const strong = (text: string): string => `<strong>${escapeHtml(text)}</strong>`;
const listed = (items: readonly string[]): string =>
  items.map((item) => `<li><code>${escapeHtml(item)}</code></li>`).join('\n');
/** "One, two and three". */
const inWords = new Intl.ListFormat('en-GB');

/**
 * What a person reads before the login at the provider: who asks, for what, and what it allows. `token` ties both answers
 * to the browser that was shown the page.
 */
export function askingPage(
  consent: Shown,
  { provider, token, minutesLeft }: { provider: string; token: string; minutesLeft: number },
): string {
  const { id, started_by: client, purpose, handle_workload: workload, handle_audiences: audiences, scopes } = consent;
  const at = `/v1/consents/${id}`;
  const why =
    purpose === null
      ? ''
      : `<h2>What for, as ${escapeHtml(client)} says</h2>\n<p class="purpose">${escapeHtml(purpose)}</p>\n`;
  return pageOf(
    'Allow lasting access?',
    `<p>${strong(client)} asks that ${strong(workload)} may act for you at ${inWords.format(audiences.map(strong))}, also while you are not there.</p>
${why}<h2>It may then</h2>
<ul>
${listed(scopes)}
</ul>
<p>The access lasts until you withdraw it, which you can do at any time. Your password stays with ${escapeHtml(provider)}: you log in and confirm there.</p>
<div class="choices">
<a class="choice lead" id="continue" href="${at}/continue?token=${token}">Continue to ${escapeHtml(provider)}</a>
<form method="post" action="${at}/decline"><input type="hidden" name="token" value="${token}"><button class="choice" type="submit">Do not allow</button></form>
</div>
<p class="soft">Go on only if you have started this yourself, in ${escapeHtml(client)}. The link is good for another ${minutesLeft === 1 ? 'minute' : `${minutesLeft} minutes`}.</p>`,
  );
}
