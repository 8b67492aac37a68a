export { accessibilityViolations, type AccessibilityViolation } from './accessibility.ts';
export {
  openBrowser,
  type BrowserContext,
  type BrowserOptions,
  type OpenBrowser,
  type Page,
  type VisitorOptions,
} from './open-browser.ts';
