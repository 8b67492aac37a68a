export { html, Html, type HtmlValue } from './html.ts';
export { page, type PageOf } from './page.ts';
export { webMigrations } from './migrations.ts';
export { webProblems } from './problems.ts';
export { formFields, formHeaders } from './own-forms.ts';
export { openWeb, type Web, type WebSpec } from './open-web.ts';
export type { WebSession } from './sessions.ts';
