export { openHome, type Home, type State } from './state.ts';
export { startStack, type Stack, type StackOptions } from './stack.ts';
export { services, type Service } from './services.ts';
export { openCast, type Cast } from './tour/cast.ts';
export { playTour } from './tour/tour.ts';
export { consent } from './tour/consent.ts';
export { grantToken } from './tour/job.ts';
export { quietly, type Step } from './progress.ts';
