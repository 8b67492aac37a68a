import { createHttpApp, type App, type AppSpec } from '@postern/http';
import { problems } from './problems.ts';
import { jwks } from './routes/jwks.ts';
import { metadata } from './routes/metadata.ts';
import { publicToken, type PublicTokenDeps } from './routes/public-token.ts';
import { token } from './routes/token.ts';

export const SERVICE = 'token-exchange';

/** What the routes need, and what the HTTP layer needs around them. */
export type AppDeps = PublicTokenDeps & { apiUrl: string; http: Omit<AppSpec, 'service' | 'routes' | 'problems'> };

/** The service as its routes. No I/O happens here. */
export function createApp({ http, ...deps }: AppDeps): App {
  // Where the profile wants certificates only, a caller without one has nothing to get here.
  const withoutCertificate = deps.profile.certificateBoundTokens ? [] : [publicToken(deps)];
  const routes = [token(deps), ...withoutCertificate, jwks(deps), metadata(deps)];
  return createHttpApp({ ...http, service: SERVICE, problems, routes });
}
