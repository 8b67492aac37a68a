import { expect, test } from '@jest/globals';
import { escapeHtml } from './page.ts';
import { askingPage } from './asking-page.ts';

const consent = {
  id: '019a0000-0000-7000-8000-000000000001',
  started_by: 'portal',
  purpose: null as string | null,
  handle_workload: 'job',
  handle_audiences: ['crypto-store'],
  scopes: ['records:read'],
};
const asked = { provider: 'idp.example', token: 't'.repeat(43), minutesLeft: 9 };

test('what callers wrote stands on the page as text, never as markup', () => {
  const hostile = `<script>alert(1)</script>" onclick='x' &amp;`;
  const page = askingPage({ ...consent, purpose: hostile, scopes: ['<b>', 'a"b'], started_by: '<i>' }, asked);
  expect(page).not.toMatch(/<script|<b>|<i>|" onclick/);
  expect(page).toContain(escapeHtml(hostile));
  expect(escapeHtml(`<>&"'`)).toBe('&lt;&gt;&amp;&quot;&#39;');
});

test('the page says who asks, who will act, where, with which scopes, for what, and that it lasts', () => {
  const page = askingPage({ ...consent, purpose: 'Nightly reports' }, asked);
  for (const said of ['portal', 'job', 'crypto-store', 'records:read', 'Nightly reports', 'withdraw', 'idp.example']) {
    expect(page).toContain(said);
  }
});
