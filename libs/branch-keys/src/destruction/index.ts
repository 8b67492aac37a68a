export { denyEnded } from './ended-tenants.ts';
export { openEndedTenants, type EndedTenants } from './open-ended-tenants.ts';
export { removeEnded, type RemoveEnded } from './remove-ended.ts';
export { BY_TENANT, removeRows, ROWS_PER_PAGE, type TenantRows } from './remove-rows.ts';
export { COORDINATOR, DESTROYED, DESTROYING, PARTICIPANTS, type Acknowledgement, type Removed } from './services.ts';
