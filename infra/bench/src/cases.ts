import { type Case } from './measure.ts';

/** Every case, in the order of the table. */
export const cases: Case[] = [];
