import axe from 'axe-core';
import type { Page } from 'playwright-core';

/** What axe-core found wrong: its rule, how bad, and the elements. */
export type AccessibilityViolation = { rule: string; impact: string; elements: string[] };

/**
 * Serious and critical violations of WCAG 2.2 A and AA on the page as it is shown, by axe-core. It is put in by the debugging
 * protocol, which a strict content security policy does not stop.
 */
export async function accessibilityViolations(page: Page): Promise<AccessibilityViolation[]> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(
    (tags) => (globalThis as unknown as { axe: typeof axe }).axe.run({ runOnly: { type: 'tag', values: tags } }),
    ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'],
  );
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, impact, nodes }) => ({ rule: id, impact: String(impact), elements: nodes.map(({ html }) => html) }));
}
