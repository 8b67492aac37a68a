import { type DevelopmentIdentityProvider, type IdentityProviderOptions } from './start.ts';

export { developmentPassword, developmentRealm, type DevelopmentWorld } from './development-realm.ts';
export {
  formOf,
  linkOf,
  login,
  openHeadlessBrowser,
  type HeadlessBrowser,
  type Page,
  type Person,
} from './headless-browser.ts';
export {
  stableId,
  type ClientAuthentication,
  type Realm,
  type RealmClient,
  type RealmScope,
  type RealmUser,
  type RoleName,
} from './realm.ts';
export type { Between, ServerCertificate } from './server.ts';
export type { DevelopmentIdentityProvider, IdentityProviderOptions, RunningIdentityProvider } from './start.ts';

/** {@link start.startIdentityProvider}, loaded when it is first needed: most specs need no identity provider. */
export async function startIdentityProvider(options: IdentityProviderOptions): Promise<DevelopmentIdentityProvider> {
  const { startIdentityProvider: start } = await import('./start.ts');
  return start(options);
}
