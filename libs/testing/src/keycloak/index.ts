export { KeycloakRefused } from './administration.ts';
export { keycloakDistribution, KeycloakUnavailable, KEYCLOAK_VERSION } from './distribution.ts';
export { startKeycloak, type KeycloakOptions, type RunningKeycloak } from './start.ts';
