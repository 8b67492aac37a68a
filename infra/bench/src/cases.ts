import { open, seal } from './cases/envelope.ts';
import { cachedVerification } from './cases/token-verification.ts';
import { type Case } from './measure.ts';

/** Every case, in the order of the table. */
export const cases: Case[] = [cachedVerification, seal, open];
