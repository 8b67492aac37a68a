export { httpOf } from './http-of.ts';
export { openKeyRounds, openRelay } from './open-relay.ts';
export { openService, type ServiceOptions } from './open-service.ts';
export { openServiceState } from './open-state.ts';
export { openOwnTrust, openTrust } from './open-trust.ts';
export { SERVICE_SECRETS } from './service-secrets.ts';
export { type Setting } from './setting.ts';
