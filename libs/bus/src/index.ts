export { busAcl } from './acl.ts';
export { type BusOptions } from './connection.ts';
export { JobRefused, openBus, type Bus, type BusQueue, type Handler, type WorkerOptions } from './open-bus.ts';
export { prefixOf } from './prefix.ts';
