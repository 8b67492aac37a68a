/**
 * oidc-provider drops `offline_access` unless the request also says `prompt=consent`; Keycloak does not. So the scope
 * goes under another name through the front channel.
 */
const alias = 'keycloak:offline_access';

const rename = (scope: string, from: string, to: string) =>
  scope
    .split(' ')
    .map((name) => (name === from ? to : name))
    .join(' ');

export const offlineAlias = alias;
export const forFrontChannel = (scope: string) => rename(scope, 'offline_access', alias);
export const forKeycloak = (scope: string) => rename(scope, alias, 'offline_access');
