export { compose, type Service } from './compose.ts';
export { readConfig, settings, type Config } from './config.ts';
export { migrationSets, SERVICE_ROLE } from './db/migration-sets.ts';
