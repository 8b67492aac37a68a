import { createReadStream, existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Route } from './declaration.ts';
import { open } from './open.ts';
import { route } from './route.ts';

// The bundle injects its styles and fonts; nothing is loaded from elsewhere, so the page also renders without a network.
const DOCS_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "worker-src 'self' blob:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/**
 * The API reference, rendered by Scalar from `/openapi.json`, with its script served from the installed package. Its toolbar, which
 * would share or deploy the document elsewhere, is off, and so is what would send requests: this page has no client certificate.
 */
export function docsRoutes(service: string): Route[] {
  const common = {
    method: 'GET',
    listener: ['management', 'api'],
    access: 'anyone',
    audit: 'open',
    hidden: true,
  } as const;
  return [
    route({
      ...common,
      path: '/docs',
      summary: 'The API reference',
      answers: { 200: 'html' },
      handle: () => open({ html: page(service), contentSecurityPolicy: DOCS_POLICY }),
    }),
    route({
      ...common,
      path: '/docs/scalar.js',
      summary: 'The script of the API reference',
      answers: { 200: 'stream' },
      cacheControl: 'public, max-age=3600',
      handle: () =>
        open({
          source: piecesOf(scriptPath()),
          contentType: 'text/javascript; charset=utf-8',
        }),
    }),
  ];
}

/** The file is opened when its first piece is asked for: an answer that nobody reads holds none. */
async function* piecesOf(path: string): AsyncGenerator<Buffer> {
  yield* createReadStream(path);
}

/**
 * A production tree carries the script beside its code (`infra/build`). In the workspace it lies in its package, which
 * exports its entry only.
 */
function scriptPath(): string {
  const beside = fileURLToPath(new URL('scalar.js', import.meta.url));
  if (existsSync(beside)) return beside;
  return join(dirname(createRequire(import.meta.url).resolve('@scalar/api-reference')), 'browser', 'standalone.js');
}

const page = (service: string): string => `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>${service}: API reference</title>
    <link rel="icon" href="data:,">
  </head>
  <body>
    <script id="api-reference" data-url="openapi.json" data-configuration='{"withDefaultFonts":false,"hideClientButton":true,"hideTestRequestButton":true,"telemetry":false,"showDeveloperTools":"never","agent":{"disabled":true},"mcp":{"disabled":true}}'></script>
    <script src="docs/scalar.js"></script>
  </body>
</html>
`;
