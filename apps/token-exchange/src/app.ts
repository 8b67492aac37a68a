import { createHttpApp, type App, type AppSpec } from '@postern/http';
import { problems } from './problems.ts';
import { jwks } from './routes/jwks.ts';
import { metadata } from './routes/metadata.ts';
import { token, type TokenDeps } from './routes/token.ts';

export const SERVICE = 'token-exchange';

/** What the routes need, and what the HTTP layer needs around them. */
export type AppDeps = TokenDeps & { apiUrl: string; http: Omit<AppSpec, 'service' | 'routes' | 'problems'> };

/** The service as its routes. No I/O happens here. */
export function createApp({ http, ...deps }: AppDeps): App {
  return createHttpApp({ ...http, service: SERVICE, problems, routes: [token(deps), jwks(deps), metadata(deps)] });
}
