import { type Case } from './assess.ts';
import { stackCrashes } from './crashes/stack-crashes.ts';

/** Every case, in the order of the table. */
export const cases: Case[] = [stackCrashes];
