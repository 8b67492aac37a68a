export { denyEnded, listTenant, openEndedTenants, type EndedTenants } from './ended-tenants.ts';
export { followDestructions, type FollowDestructions } from './follow-destructions.ts';
export { removeEnded, type RemoveEnded } from './remove-ended.ts';
export { BY_TENANT, removeRows } from './remove-rows.ts';
export { COORDINATOR, DESTROYED, DESTROYING, PARTICIPANTS, type Acknowledgement, type Removed } from './services.ts';
