export { readDevelopmentState, type DevelopmentState } from './development-state.ts';
export { type Credentials } from './realm/browser.ts';
export { logInAs } from './realm/log-in.ts';
export { type RealmClient } from './realm/discovery.ts';
export { workloadToken } from './realm/workload-token.ts';
export { run } from './run.ts';
