import { type PosternDocument } from '../document/postern-document.ts';
import { KEYCLOAK_VERSION } from '../realm/server-ids.ts';
import { type Assessed } from './assess.ts';

const marks: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escaped = (text: string) => text.replace(/[&<>"']/g, (one) => marks[one] ?? one);

const style = `:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { margin: 2rem auto; max-width: 75rem; padding: 0 1rem; overflow-wrap: anywhere } h1 { font-size: 1.6rem } h2 { margin-top: 2rem }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid #8886 }
th { white-space: nowrap } code { font-size: .85em } .yes, .no { white-space: nowrap } .yes { color: #067d3b } .no { color: #c5221f; font-weight: 600 }
@media (prefers-color-scheme: dark) { .yes { color: #5bd68a } .no { color: #ff8a80 } }
@media screen and (max-width: 50rem) { thead { display: none } table, tbody, tr, td { display: block } tr { border-bottom: 1px solid #8886; padding: .6rem 0 }
td { border: 0; padding: .1rem 0 } td:empty { display: none } td[data-name]::before { content: attr(data-name) ': '; opacity: .7 } }
@media print { :root { font-size: 11px } body { margin: 0; max-width: none } thead { display: table-header-group } tr { break-inside: avoid } h2 { break-after: avoid } }`;

/** On a narrow screen there are no columns: then a cell names itself. */
const row = (cells: readonly string[], names: readonly string[]) =>
  `<tr>${cells.map((cell, at) => `<td${names[at] ? ` data-name="${names[at]}"` : ''}>${cell}</td>`).join('')}</tr>`;

/** The evidence as a page that a person reads and prints: no script, nothing from elsewhere. */
export function evidenceReport(
  { document, profile, findings }: PosternDocument,
  results: readonly Assessed[],
  at: string,
): string {
  const satisfied = results.filter((one) => one.satisfied).length;
  const realms = [...new Set(results.map(({ realm }) => realm))];
  const tables = realms.map((realm) => {
    const rows = results
      .filter((one) => one.realm === realm)
      .map((one) =>
        row(
          [
            `<strong>${escaped(one.control)}</strong> ${escaped(one.title)}`,
            `<span class="${one.satisfied ? 'yes' : 'no'}">${one.satisfied ? 'satisfied' : 'NOT satisfied'}</span>`,
            escaped(one.setting),
            one.observed.map(escaped).join('<br>'),
            `<code>${one.hash.slice(0, 12)}</code>`,
          ],
          ['', '', 'setting', 'seen', 'hash'],
        ),
      );
    return `<h2>Realm ${escaped(realm)}</h2>\n<table><thead><tr><th>control</th><th>result</th><th>setting</th><th>seen</th><th>hash</th></tr></thead><tbody>\n${rows.join('\n')}\n</tbody></table>`;
  });
  const deviations = findings.map((one) =>
    row(
      [
        escaped(one.severity),
        `<code>${escaped(one.key)}</code>, line ${one.line}`,
        escaped(`${one.message}${one.control ? ` [${one.control}]` : ''}`),
        escaped(
          one.waiver
            ? `waived until ${one.waiver.expires} by ${one.waiver.approvedBy}: ${one.waiver.reason}`
            : (one.suggestion ?? ''),
        ),
      ],
      ['severity', 'key'],
    ),
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escaped(document.app.name)}: evidence</title><style>${style}</style></head><body>
<h1>${escaped(document.app.name)}: ${satisfied} of ${results.length} checks satisfied</h1>
<p>${escaped(profile.name)}, Keycloak ${KEYCLOAK_VERSION}, ${escaped(at)}. Chain head <code>${results.at(-1)?.hash ?? 'none'}</code>.</p>
${tables.join('\n')}
<h2>Deviations of the document</h2>
${deviations.length > 0 ? `<table><thead><tr><th>severity</th><th>key</th><th>what</th><th>waiver or advice</th></tr></thead><tbody>\n${deviations.join('\n')}\n</tbody></table>` : '<p>None.</p>'}
</body></html>
`;
}
