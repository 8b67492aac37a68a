export { keycloakDistribution, KEYCLOAK_VERSION } from './distribution.ts';
export { startKeycloak, type KeycloakOptions, type RunningKeycloak } from './start.ts';
